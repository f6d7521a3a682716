// How the scripts of this folder say what they claim. claims.mjs is the same for Node. The transport called ringfence is the one
// of our pages: see languages.py.
package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/twilio/twilio-go"
	"github.com/twilio/twilio-go/client"
)

// connect makes a client: one that is led elsewhere, or the library's own.
func connect(user, secret, account string, led bool) *twilio.RestClient {
	if !led {
		return twilio.NewRestClientWithParams(twilio.ClientParams{Username: user, Password: secret, AccountSid: account})
	}
	base := &client.Client{
		Credentials: client.NewCredentials(user, secret),
		HTTPClient:  &http.Client{Transport: ringfence{}, Timeout: 10 * time.Second},
	}
	base.SetAccountSid(account)
	return twilio.NewRestClientWithParams(twilio.ClientParams{Client: base})
}

// say makes one claim; detail helps whoever reads that it does not hold.
func say(right bool, claim string, detail ...interface{}) {
	if right {
		fmt.Println("ok " + claim)
	} else {
		fmt.Println("FAIL " + claim + ": " + strings.ReplaceAll(fmt.Sprint(detail...), "\n", " "))
	}
}

// refused claims that a call failed with Twilio's own error: this status, and this code.
func refused(claim string, status, code int, err error) {
	var told *client.TwilioRestError
	if !errors.As(err, &told) {
		say(false, claim, "no error of Twilio's: ", err)
		return
	}
	say(told.Status == status && told.Code == code, claim, told)
}

// must ends a topic whose next claims would say nothing.
func must[T any](value T, err error) T {
	if err != nil {
		panic(err)
	}
	return value
}

// tell tells a topic to its end whatever happens.
func tell(topic string, claims func()) {
	defer func() {
		if broken := recover(); broken != nil {
			say(false, topic+" is told to its end", broken)
		}
	}()
	claims()
}

// of is what a pointer of the library leads to, or nothing.
func of[T any](value *T) T {
	var nothing T
	if value == nil {
		return nothing
	}
	return *value
}

// ask is what somebody else than the library gets.
func ask(where string, headers map[string]string) ([]byte, http.Header) {
	request := must(http.NewRequest(http.MethodGet, where, nil))
	for name, value := range headers {
		request.Header.Set(name, value)
	}
	answer := must((&http.Client{Transport: &http.Transport{}}).Do(request))
	defer answer.Body.Close()
	return must(io.ReadAll(answer.Body)), answer.Header
}

func askJSON(where string, headers map[string]string, into interface{}) {
	body, _ := ask(where, headers)
	if err := json.Unmarshal(body, into); err != nil {
		panic(err)
	}
}

func env(name string) string { return os.Getenv(name) }
