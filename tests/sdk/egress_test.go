// Twilio's own Go library through the egress. tests/sdk/egress starts it with the sandbox behind it and reads what is printed
// here: one line for each claim. egress_test.mjs makes the same claims in Node, in the same order.
//
//	WAY=base-url      an HTTP client of the application's leads to the egress
//	WAY=environment   nothing is set: the environment names the egress as a proxy, and its authority
package main

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"reflect"
	"regexp"
	"sort"
	"strings"

	"github.com/twilio/twilio-go"
	"github.com/twilio/twilio-go/client"
	api "github.com/twilio/twilio-go/rest/api/v2010"
	lookups "github.com/twilio/twilio-go/rest/lookups/v2"
	messaging "github.com/twilio/twilio-go/rest/messaging/v1"
)

const (
	magic = "+15005550006"
	to    = "+14155550122"
)

var account, token, secret = env("TWILIO_ACCOUNT_SID"), env("TWILIO_AUTH_TOKEN"), env("SECRET")

func main() {
	topics := []struct {
		name   string
		claims func(*twilio.RestClient)
	}{
		{"messages", messages}, {"lists", lists}, {"pictures", pictures}, {"calls", calls},
		{"secrets", secrets}, {"limit", limit}, {"revoked", revoked},
	}
	for _, topic := range topics {
		tell(topic.name, func() { topic.claims(through(account, secret)) })
	}
}

func through(user, secret string) *twilio.RestClient {
	return connect(user, secret, account, env("WAY") == "base-url")
}

func message(to, body string) *api.CreateMessageParams {
	return new(api.CreateMessageParams).SetFrom(magic).SetTo(to).SetBody(body)
}

func notSent(by *twilio.RestClient, params *api.CreateMessageParams) error {
	_, err := by.Api.CreateMessage(params)
	return err
}

func messages(by *twilio.RestClient) {
	sent := must(by.Api.CreateMessage(message(to, "Through the egress")))
	sid := of(sent.Sid)
	say(regexp.MustCompile("^SM[0-9a-f]{32}$").MatchString(sid) && of(sent.AccountSid) == account, "a message is sent")
	say(of(must(by.Api.FetchMessage(sid, nil)).Body) == "Through the egress", "it is fetched by its SID")
	say(atTwilio(sid)["body"] == "Through the egress", "Twilio has it under the real account")
	byKey := must(through(env("KEY"), secret).Api.FetchMessage(sid, nil))
	say(of(byKey.Sid) == sid, "the credential's own SID is a user name too")
	umlauts := must(by.Api.CreateMessage(message(to, "Grüße & 100 % + 漢字 😀")))
	say(atTwilio(of(umlauts.Sid))["body"] == "Grüße & 100 % + 漢字 😀", "every character arrives")
	refused("a message without a body is refused by Twilio", 400, 21602, notSent(by, message(to, "")))
	refused("a number of no country is refused before", 403, 84022, notSent(by, message("+15005550001", "x")))
	refused("a body of 1,601 characters is refused by Twilio", 400, 21617, notSent(by, message(to, strings.Repeat("x", 1601))))
	_, err := by.Api.FetchMessage("SM"+strings.Repeat("0", 32), nil)
	refused("a message that is not there", 404, 20404, err)
	refused("a wrong secret", 401, 20003, notSent(through(account, "wrong"), message(to, "x")))
	_, err = through(account, token).Api.FetchMessage(sid, nil)
	refused("Twilio's own token is worth nothing here", 401, 20003, err)
	elsewhere := message(to, "x").SetPathAccountSid("AC" + strings.Repeat("1", 32))
	refused("another account is out of scope", 403, 84010, notSent(by, elsewhere))
}

func lists(by *twilio.RestClient) {
	var wanted []string
	for i := 0; i < 7; i++ {
		wanted = append(wanted, fmt.Sprintf("page %d", i))
		must(by.Api.CreateMessage(message("+14155550133", wanted[i])))
	}
	var bodies []string
	for _, it := range must(by.Api.ListMessage(new(api.ListMessageParams).SetTo("+14155550133").SetPageSize(2))) {
		bodies = append(bodies, of(it.Body))
	}
	sort.Strings(bodies)
	say(reflect.DeepEqual(bodies, wanted), "seven messages come over pages of two, each once", bodies)
	var names []string
	wanted = nil
	for i := 0; i < 5; i++ {
		wanted = append(wanted, fmt.Sprintf("service %d", i))
		must(by.MessagingV1.CreateService(new(messaging.CreateServiceParams).SetFriendlyName(wanted[i])))
	}
	for _, it := range must(by.MessagingV1.ListService(new(messaging.ListServiceParams).SetPageSize(2))) {
		names = append(names, of(it.FriendlyName))
	}
	sort.Strings(names)
	say(reflect.DeepEqual(names, wanted), "services come over pages whose links are absolute", names)
	found := must(by.LookupsV2.FetchPhoneNumber("+14155550100", new(lookups.FetchPhoneNumberParams)))
	say(of(found.Valid) && of(found.CountryCode) == "US", "a number is looked up on another host")
}

func pictures(by *twilio.RestClient) {
	var files []string
	for i := 0; i < 10; i++ {
		files = append(files, fmt.Sprintf("https://example.com/%d.png", i))
	}
	sent := must(by.Api.CreateMessage(message(to, strings.Repeat("x", 1600)).SetMediaUrl(files)))
	made := strings.HasPrefix(of(sent.Sid), "MM") && atTwilio(of(sent.Sid))["num_media"] == "10"
	say(made, "a message of ten pictures and 1,600 characters is sent")
	media := must(by.Api.ListMedia(of(sent.Sid), nil))
	say(len(media) == 10, "its media are listed")
	path := strings.TrimSuffix(of(media[0].Uri), ".json")
	// The library's own way to ask for anything.
	answer := must(by.RequestHandler.Get("https://api.twilio.com"+path, nil, nil))
	defer answer.Body.Close()
	content := must(io.ReadAll(answer.Body))
	direct, headers := ask(env("SANDBOX")+"/api.twilio.com"+path, map[string]string{"Authorization": login(account, token)})
	say(answer.StatusCode == 200 && bytes.Equal(content, direct), "a picture is read, byte for byte", answer.StatusCode)
	say(answer.Header.Get("Content-Type") == headers.Get("Content-Type"), "and is what it was")
}

func calls(by *twilio.RestClient) {
	call := func() *api.CreateCallParams { return new(api.CreateCallParams).SetFrom(magic).SetTo(to) }
	called := must(by.Api.CreateCall(call().SetTwiml("<Response><Say>Hello</Say></Response>")))
	sid := of(called.Sid)
	say(regexp.MustCompile("^CA[0-9a-f]{32}$").MatchString(sid) && of(called.Status) == "queued", "a call is made")
	ended := must(by.Api.UpdateCall(sid, new(api.UpdateCallParams).SetStatus("completed")))
	say(of(ended.Sid) == sid, "it is ended")
	_, err := by.Api.CreateCall(call().SetUrl("https://evil.example/dial"))
	refused("instructions from elsewhere are refused", 403, 84020, err)
}

func secrets(by *twilio.RestClient) {
	own := must(by.Api.FetchAccount(account))
	say(of(own.Status) == "active" && of(own.AuthToken) == "", "the account is read, and its token is not in it")
	_, err := by.Api.CreateAccount(nil)
	refused("an account is not made", 403, 84016, err)
	_, err = by.Api.CreateNewKey(nil)
	refused("a key is not made", 403, 84016, err)
	_, err = by.Api.CreateToken(nil)
	refused("a token for the edge is not made", 403, 84016, err)
	_, err = by.AccountsV1.CreateSecondaryAuthToken()
	refused("a second auth token is not made", 403, 84016, err)
}

func limit(by *twilio.RestClient) {
	told := new(client.TwilioRestError)
	for i := 0; i < 400 && told.Code == 0; i++ {
		if err := notSent(by, message(to, "One more")); err != nil && !errors.As(err, &told) {
			panic(err)
		}
	}
	right := false
	for _, it := range [][2]int{{429, 84032}, {403, 84030}, {403, 84031}} {
		right = right || it == [2]int{told.Status, told.Code}
	}
	say(right, "at the limit the library raises an error", told)
	say(strings.Contains(told.Message, env("LIMIT")), "which names the limit", told)
	say(strings.HasPrefix(newest(by), "SM"), "what costs nothing still passes")
}

func revoked(by *twilio.RestClient) {
	sid := newest(by)
	var command []string
	if err := json.Unmarshal([]byte(env("REVOKE")), &command); err != nil {
		panic(err)
	}
	revoke := exec.Command(command[0], command[1:]...)
	revoke.Dir = env("FOLDER")
	if err := revoke.Run(); err != nil {
		panic(err)
	}
	_, err := by.Api.FetchMessage(sid, nil)
	refused("a revoked credential is refused at its next request", 401, 20003, err)
}

// ---------------------------------------------------------------- helpers

func newest(by *twilio.RestClient) string {
	return of(must(by.Api.ListMessage(new(api.ListMessageParams).SetLimit(1)))[0].Sid)
}

// atTwilio is what Twilio itself has of a message, asked without the egress.
func atTwilio(sid string) map[string]interface{} {
	var shown map[string]interface{}
	url := env("SANDBOX") + "/api.twilio.com/2010-04-01/Accounts/" + account + "/Messages/" + sid + ".json"
	askJSON(url, map[string]string{"Authorization": login(account, token)}, &shown)
	return shown
}

func login(user, password string) string {
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(user+":"+password))
}
