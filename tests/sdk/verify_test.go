// Twilio's own Go library against a Verify: the sandbox's, or that of Ringfence's second factor. tests/sdk/verify starts both
// and wants the same claims from them. verify_test.mjs makes the same ones in Node, in the same order.
package main

import (
	"net/url"
	"reflect"
	"regexp"
	"strings"
	"time"

	"github.com/twilio/twilio-go"
	verify "github.com/twilio/twilio-go/rest/verify/v2"
)

const to = "+14155550181"

var service, account = env("SERVICE"), env("ACCOUNT")

func ours(secret string) *twilio.RestClient {
	return connect(env("USER_NAME"), secret, account, true)
}

func main() {
	api := ours(env("SECRET")).VerifyV2
	tell("everything", func() {
		verifications(api)
		limits(api)
		attempts(api)
	})
}

func start(to, channel string) *verify.CreateVerificationParams {
	return new(verify.CreateVerificationParams).SetTo(to).SetChannel(channel)
}

func check() *verify.CreateVerificationCheckParams { return new(verify.CreateVerificationCheckParams) }

func verifications(api *verify.ApiService) {
	begin := func(params *verify.CreateVerificationParams) *verify.VerifyV2Verification {
		return must(api.CreateVerification(service, params))
	}
	notBegun := func(params *verify.CreateVerificationParams) error {
		_, err := api.CreateVerification(service, params)
		return err
	}
	notChecked := func(params *verify.CreateVerificationCheckParams) error {
		_, err := api.CreateVerificationCheck(service, params)
		return err
	}
	fetched := must(api.FetchService(service))
	say(of(fetched.Sid) == service && of(fetched.AccountSid) == account && of(fetched.CodeLength) == 6, "the service is fetched")
	found := false
	for _, it := range must(api.ListService(nil)) {
		found = found || of(it.Sid) == service
	}
	say(found, "the service is listed")
	started := begin(start(to, "sms"))
	sid := of(started.Sid)
	right := regexp.MustCompile("^VE[0-9a-f]{32}$").MatchString(sid) && of(started.Status) == "pending" && started.Valid != nil && !*started.Valid
	say(right, "a verification begins")
	say(of(started.To) == to && of(started.Channel) == "sms" && of(started.ServiceSid) == service, "it says where its code goes")
	say(!of(started.DateCreated).IsZero(), "the library reads the date of its start")
	sends := of(started.SendCodeAttempts)
	say(len(sends) == 1 && strings.HasPrefix(sends[0].(map[string]interface{})["attempt_sid"].(string), "VL"), "it has one attempt")
	code := codeOn(to)
	say(regexp.MustCompile(`^\d{6}$`).MatchString(code), "its code of six digits is on the phone", code)
	say(of(must(api.FetchVerification(service, sid)).Status) == "pending", "it is fetched by its SID")
	say(of(must(api.FetchVerification(service, to)).Sid) == sid, "it is fetched by its number")
	wrong := must(api.CreateVerificationCheck(service, check().SetTo(to).SetCode(other(code))))
	say(of(wrong.Status) == "pending" && !of(wrong.Valid) && of(wrong.Sid) == sid, "a wrong code is no error and not valid")
	approved := must(api.CreateVerificationCheck(service, check().SetVerificationSid(sid).SetCode(code)))
	say(of(approved.Status) == "approved" && of(approved.Valid), "the right code is approved")
	refused("a code is good for one check", 404, 20404, notChecked(check().SetTo(to).SetCode(code)))
	_, err := api.FetchVerification(service, sid)
	refused("what is approved is not there any more", 404, 20404, err)

	second := begin(start("+14155550182", "sms"))
	canceled := must(api.UpdateVerification(service, of(second.Sid), new(verify.UpdateVerificationParams).SetStatus("canceled")))
	say(of(canceled.Status) == "canceled" && !of(canceled.Valid), "a verification is canceled")
	refused("after that there is nothing to check", 404, 20404, notChecked(check().SetTo("+14155550182").SetCode("000000")))
	third := begin(start("+14155550183", "sms"))
	_, err = api.UpdateVerification(service, of(third.Sid), new(verify.UpdateVerificationParams).SetStatus("expired"))
	refused("a status that none has", 400, 60200, err)

	tried := begin(start("+14155550184", "sms"))
	good := codeOn("+14155550184")
	for i := 0; i < 5; i++ {
		must(api.CreateVerificationCheck(service, check().SetTo("+14155550184").SetCode(other(good))))
	}
	sixth := notChecked(check().SetVerificationSid(of(tried.Sid)).SetCode(good))
	refused("a sixth check is one too many, though the code is right", 429, 60202, sixth)
	refused("and nothing is begun in its place", 429, 60202, notBegun(start("+14155550184", "sms")))

	refused("a number that is none is not verified", 400, 60200, notBegun(start("12", "sms")))
	refused("nor is one that lacks a digit", 400, 60200, notBegun(start("+1415555018", "sms")))
	refused("a channel that does not exist", 400, 60200, notBegun(start(to, "pigeon")))
	refused("a channel that is not there", 403, 60223, notBegun(start(to, "email")))
	refused("a code of one's own where none is allowed", 403, 60204, notBegun(start(to, "sms").SetCustomCode("1234")))
	refused("a name that looks like a number", 400, 60200, notBegun(start(to, "sms").SetCustomFriendlyName("555 0123")))
	refused("a check without a target", 400, 60221, notChecked(check().SetCode("123456")))
	refused("a check of nothing", 404, 20404, notChecked(check().SetTo("+14155550185").SetCode("123456")))
	_, err = api.CreateVerification("VA"+strings.Repeat("0", 32), start(to, "sms"))
	refused("a service that is not there", 404, 20404, err)
	_, err = ours("wrong").VerifyV2.FetchService(service)
	refused("a wrong secret", 401, 20003, err)
}

func limits(api *verify.ApiService) {
	named := func(name string) *verify.CreateRateLimitParams {
		return new(verify.CreateRateLimitParams).SetUniqueName(name)
	}
	limit := must(api.CreateRateLimit(service, named("address").SetDescription("of the network")))
	sid := of(limit.Sid)
	right := strings.HasPrefix(sid, "RK") && of(limit.UniqueName) == "address" && of(limit.Description) == "of the network"
	say(right, "a limit is made")
	_, err := api.CreateRateLimit(service, named("address"))
	refused("its name is taken", 400, 60208, err)
	_, err = api.CreateRateLimit(service, named("end user"))
	refused("a name with spaces", 400, 60209, err)
	bucket := must(api.CreateBucket(service, sid, new(verify.CreateBucketParams).SetMax(1).SetInterval(3600)))
	say(strings.HasPrefix(of(bucket.Sid), "BL") && of(bucket.Max) == 1 && of(bucket.Interval) == 3600, "a bucket is made")
	_, err = api.CreateBucket(service, sid, new(verify.CreateBucketParams).SetMax(2).SetInterval(3600))
	refused("its interval is taken", 400, 60211, err)
	limited := func(to, name string) (*verify.VerifyV2Verification, error) {
		return api.CreateVerification(service, start(to, "sms").SetRateLimits(map[string]string{name: "192.0.2.7"}))
	}
	_, err = limited("+14155550186", "adress")
	refused("a limit that is not there holds nobody", 400, 60200, err)
	say(of(must(limited("+14155550186", "address")).Status) == "pending", "one start fits into it")
	_, err = limited("+14155550187", "address")
	refused("a second one does not", 429, 20429, err)
	changed := must(api.UpdateBucket(service, sid, of(bucket.Sid), new(verify.UpdateBucketParams).SetMax(5)))
	say(of(changed.Max) == 5, "the bucket is changed")
	say(of(must(limited("+14155550187", "address")).Status) == "pending", "then it fits")
	described := must(api.UpdateRateLimit(service, sid, new(verify.UpdateRateLimitParams).SetDescription("x")))
	say(of(described.Description) == "x", "the limit is changed")
	say(len(must(api.ListRateLimit(service, nil))) == 1 && len(must(api.ListBucket(service, sid, nil))) == 1, "both are listed")
	say(api.DeleteBucket(service, sid, of(bucket.Sid)) == nil, "the bucket is removed")
	say(api.DeleteRateLimit(service, sid) == nil, "the limit is removed")
	_, err = api.FetchRateLimit(service, sid)
	refused("then it is not there", 404, 20404, err)
}

func attempts(api *verify.ApiService) {
	ofThis := func() *verify.ListVerificationAttemptParams {
		return new(verify.ListVerificationAttemptParams).SetVerifyServiceSid(service)
	}
	found := must(api.ListVerificationAttempt(ofThis().SetPageSize(3)))
	sids := map[string]bool{}
	for _, it := range found {
		sids[of(it.Sid)] = true
	}
	say(len(found) == 6 && len(sids) == 6, "six attempts come over pages of three", len(found))
	converted := must(api.ListVerificationAttempt(ofThis().SetStatus("converted")))
	say(len(converted) == 1 && of(converted[0].ChannelData).(map[string]interface{})["to"] == to, "one of them was entered")
	one := must(api.FetchVerificationAttempt(of(converted[0].Sid)))
	say(of(one.ConversionStatus) == "converted" && of(one.VerificationSid) == of(converted[0].VerificationSid), "it is fetched")
	params := new(verify.FetchVerificationAttemptsSummaryParams).SetVerifyServiceSid(service)
	summary := must(api.FetchVerificationAttemptsSummary(params))
	sums := []int{of(summary.TotalAttempts), of(summary.TotalConverted), of(summary.TotalUnconverted)}
	say(reflect.DeepEqual(sums, []int{6, 1, 5}), "they are summed up", sums)
}

// ---------------------------------------------------------------- helpers

// codeOn is the code in the newest text on a phone, as soon as there is one.
func codeOn(phone string) string {
	code := regexp.MustCompile(`\b\d{6}\b`)
	for i := 0; i < 200; i++ {
		var shown struct {
			Phones []struct{ Thread []struct{ Kind, Body string } }
		}
		askJSON(env("SANDBOX")+"/_sandbox/phones?number="+url.QueryEscape(phone), map[string]string{"Accept": "application/json"}, &shown)
		newest := ""
		for _, it := range shown.Phones {
			for _, text := range it.Thread {
				if codes := code.FindAllString(text.Body, -1); text.Kind == "text" && codes != nil {
					newest = codes[len(codes)-1]
				}
			}
		}
		if newest != "" {
			return newest
		}
		time.Sleep(50 * time.Millisecond)
	}
	return "none"
}

func other(code string) string {
	if code == "123456" {
		return "654321"
	}
	return "123456"
}
