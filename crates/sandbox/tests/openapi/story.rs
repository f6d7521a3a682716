//! A story in which everything that the sandbox can do is asked for once, and works.
//!
//! One chapter for each product. A chapter may rely on what it made itself, and on the main account.

use ringfence_sandbox::Settings;
use ringfence_testkit::Upstream;
use serde_json::Value;

use crate::actor::Actor;
use crate::judge::Judge;

/// The sender that every account may use.
const MAGIC: &str = "+15005550006";
const PHONE: &str = "+14155550199";

pub(crate) async fn tell(judge: &mut Judge) {
    let settings = Settings { usage_lag_s: 0, trigger_interval_s: 60, ..Settings::default() };
    let actor = Actor::start(settings).await;
    let v2010 = format!("/2010-04-01/Accounts/{}", actor.sid);
    let mut story = Story { actor, judge, v2010 };
    story.accounts().await;
    story.messages().await;
    story.messaging_services().await;
    story.calls().await;
    story.numbers().await;
    story.small_things().await;
    story.usage().await;
    story.verify().await;
    story.pricing().await;
    story.lookups().await;
    story.permissions().await;
    story.monitor().await;
    story.auth_tokens().await;
}

struct Story<'a> {
    actor: Actor,
    judge: &'a mut Judge,
    /// Where the main account's resources of the older API live.
    v2010: String,
}

impl Story<'_> {
    async fn accounts(&mut self) {
        let child = self.post("api", "/2010-04-01/Accounts.json", &[("FriendlyName", "Child")]).await;
        self.get("api", "/2010-04-01/Accounts.json?PageSize=1").await;
        let one = format!("/2010-04-01/Accounts/{}.json", sid(&child));
        self.get("api", &one).await;
        self.post("api", &one, &[("FriendlyName", "Renamed")]).await;
        for status in ["suspended", "active", "closed"] {
            self.post("api", &one, &[("Status", status)]).await;
        }
        self.get("api", &format!("{}/Balance.json", self.v2010)).await;
    }

    async fn messages(&mut self) {
        let list = format!("{}/Messages.json", self.v2010);
        let form = [
            ("From", MAGIC),
            ("To", PHONE),
            ("Body", "Look"),
            ("MediaUrl", "https://example.com/a.png"),
            ("MediaUrl", "https://example.com/b.png"),
        ];
        let message = self.post("api", &list, &form).await;
        self.actor.advance(30).await;
        self.get("api", &format!("{list}?PageSize=1")).await;
        let one = format!("{}/Messages/{}", self.v2010, sid(&message));
        self.get("api", &format!("{one}.json")).await;
        let media = self.get("api", &format!("{one}/Media.json")).await;
        let picture = format!("{one}/Media/{}.json", sid(&media["media_list"][0]));
        self.get("api", &picture).await;
        self.delete("api", &picture).await;
        self.post("api", &format!("{one}/Feedback.json"), &[("Outcome", "confirmed")]).await;
        self.post("api", &format!("{one}.json"), &[("Body", "")]).await;
        self.delete("api", &format!("{one}.json")).await;
    }

    async fn messaging_services(&mut self) {
        let service = self.post("messaging", "/v1/Services", &[("FriendlyName", "Pool")]).await;
        self.get("messaging", "/v1/Services?PageSize=1").await;
        let one = format!("/v1/Services/{}", sid(&service));
        self.get("messaging", &one).await;
        self.post("messaging", &one, &[("FriendlyName", "Renamed")]).await;
        let owned = self.get("api", &format!("{}/IncomingPhoneNumbers.json", self.v2010)).await;
        let number = sid(&owned["incoming_phone_numbers"][0]).to_owned();
        let pool = format!("{one}/PhoneNumbers");
        self.post("messaging", &pool, &[("PhoneNumberSid", &number)]).await;
        self.get("messaging", &pool).await;
        let form = [("MessagingServiceSid", sid(&service)), ("To", PHONE), ("Body", "From the pool")];
        self.post("api", &format!("{}/Messages.json", self.v2010), &form).await;
        self.actor.advance(30).await;
        self.get("messaging", &format!("{pool}/{number}")).await;
        self.delete("messaging", &format!("{pool}/{number}")).await;
        let senders = format!("{one}/AlphaSenders");
        let sender = self.post("messaging", &senders, &[("AlphaSender", "Acme")]).await;
        self.get("messaging", &senders).await;
        self.get("messaging", &format!("{senders}/{}", sid(&sender))).await;
        self.delete("messaging", &format!("{senders}/{}", sid(&sender))).await;
        self.delete("messaging", &one).await;
    }

    async fn calls(&mut self) {
        let list = format!("{}/Calls.json", self.v2010);
        let twiml = "<Response><Record/></Response>";
        let call = self.post("api", &list, &[("From", MAGIC), ("To", PHONE), ("Twiml", twiml)]).await;
        self.actor.advance(120).await;
        self.get("api", &format!("{list}?PageSize=1")).await;
        let one = format!("{}/Calls/{}", self.v2010, sid(&call));
        self.get("api", &format!("{one}.json")).await;

        let recordings = format!("{}/Recordings.json", self.v2010);
        self.get("api", &recordings).await;
        let of_call = self.get("api", &format!("{one}/Recordings.json")).await;
        let recording = sid(&of_call["recordings"][0]).to_owned();
        self.get("api", &format!("{}/Recordings/{recording}.json", self.v2010)).await;
        self.get("api", &format!("{one}/Recordings/{recording}.json")).await;
        self.delete("api", &format!("{one}/Recordings/{recording}.json")).await;

        let pause = "<Response><Pause length=\"600\"/></Response>";
        let form = [("From", MAGIC), ("To", PHONE), ("Twiml", pause)];
        let running = self.post("api", &list, &form).await;
        let running = format!("{}/Calls/{}", self.v2010, sid(&running));
        self.actor.advance(20).await;
        let started = self.post("api", &format!("{running}/Recordings.json"), &[]).await;
        self.actor.advance(5).await;
        let started = format!("{running}/Recordings/{}.json", sid(&started));
        self.post("api", &started, &[("Status", "stopped")]).await;
        self.post("api", &format!("{running}.json"), &[("Status", "completed")]).await;
        let left = self.get("api", &recordings).await;
        let left = format!("{}/Recordings/{}.json", self.v2010, sid(&left["recordings"][0]));
        self.delete("api", &left).await;
        self.delete("api", &format!("{one}.json")).await;
    }

    async fn numbers(&mut self) {
        let countries = format!("{}/AvailablePhoneNumbers.json", self.v2010);
        self.get("api", &countries).await;
        let country = format!("{}/AvailablePhoneNumbers/US", self.v2010);
        self.get("api", &format!("{country}.json")).await;
        for kind in ["Local", "TollFree", "Mobile"] {
            let country = if kind == "Mobile" { country.replace("/US", "/GB") } else { country.clone() };
            let offered = self.get("api", &format!("{country}/{kind}.json?PageSize=2")).await;
            let number = offered["available_phone_numbers"][0]["phone_number"].as_str().unwrap().to_owned();
            let list = format!("{}/IncomingPhoneNumbers/{kind}.json", self.v2010);
            self.post("api", &list, &[("PhoneNumber", &number)]).await;
            self.get("api", &list).await;
        }
        let list = format!("{}/IncomingPhoneNumbers.json", self.v2010);
        let bought = self.post("api", &list, &[("AreaCode", "415")]).await;
        self.get("api", &format!("{list}?PageSize=1")).await;
        let one = format!("{}/IncomingPhoneNumbers/{}.json", self.v2010, sid(&bought));
        self.get("api", &one).await;
        self.post("api", &one, &[("SmsUrl", "https://app.example/sms")]).await;
        self.delete("api", &one).await;

        let callers = format!("{}/OutgoingCallerIds.json", self.v2010);
        self.post("api", &callers, &[("PhoneNumber", PHONE), ("FriendlyName", "Mine")]).await;
        self.actor.advance(120).await;
        let listed = self.get("api", &callers).await;
        let one = format!("{}/OutgoingCallerIds/{}.json", self.v2010, sid(&listed["outgoing_caller_ids"][0]));
        self.get("api", &one).await;
        self.post("api", &one, &[("FriendlyName", "Renamed")]).await;
        self.delete("api", &one).await;
    }

    /// What is made, listed, fetched, changed and deleted, and no more.
    async fn small_things(&mut self) {
        for kind in ["Applications", "Keys", "SigningKeys"] {
            let list = format!("{}/{kind}.json", self.v2010);
            let made = self.post("api", &list, &[("FriendlyName", "Made")]).await;
            self.get("api", &list).await;
            let one = format!("{}/{kind}/{}.json", self.v2010, sid(&made));
            self.get("api", &one).await;
            self.post("api", &one, &[("FriendlyName", "Renamed")]).await;
            self.delete("api", &one).await;
        }
        self.sip().await;
    }

    async fn sip(&mut self) {
        let sip = format!("{}/SIP", self.v2010);
        let domains = format!("{sip}/Domains.json");
        let form = [("DomainName", "acme.sip.twilio.com"), ("VoiceUrl", "https://example.com/sip")];
        let domain = self.post("api", &domains, &form).await;
        self.get("api", &domains).await;
        let one = format!("{sip}/Domains/{}", sid(&domain));
        self.get("api", &format!("{one}.json")).await;
        self.post("api", &format!("{one}.json"), &[("FriendlyName", "Renamed"), ("Secure", "true")]).await;
        let lists = format!("{sip}/IpAccessControlLists.json");
        let list = self.post("api", &lists, &[("FriendlyName", "Office")]).await;
        self.get("api", &lists).await;
        let list = sid(&list).to_owned();
        self.get("api", &format!("{sip}/IpAccessControlLists/{list}.json")).await;
        let mappings = format!("{one}/Auth/Calls/IpAccessControlListMappings");
        self.post("api", &format!("{mappings}.json"), &[("IpAccessControlListSid", &list)]).await;
        self.get("api", &format!("{mappings}.json")).await;
        self.delete("api", &format!("{mappings}/{list}.json")).await;
        self.delete("api", &format!("{sip}/IpAccessControlLists/{list}.json")).await;
        self.delete("api", &format!("{one}.json")).await;
    }

    async fn usage(&mut self) {
        let records = format!("{}/Usage/Records", self.v2010);
        self.get("api", &format!("{records}.json?PageSize=5")).await;
        let periods =
            ["AllTime", "Daily", "LastMonth", "Monthly", "ThisMonth", "Today", "Yearly", "Yesterday"];
        for period in periods {
            self.get("api", &format!("{records}/{period}.json?PageSize=5")).await;
        }

        let hook = Upstream::saying("").await;
        let url = format!("http://{}/trigger", hook.address());
        let list = format!("{}/Usage/Triggers.json", self.v2010);
        let form = [("CallbackUrl", url.as_str()), ("TriggerValue", "1"), ("UsageCategory", "sms")];
        let trigger = self.post("api", &list, &form).await;
        self.actor.advance(180).await;
        assert_eq!(hook.requests().len(), 1, "the trigger fires once");
        self.get("api", &list).await;
        let one = format!("{}/Usage/Triggers/{}.json", self.v2010, sid(&trigger));
        self.get("api", &one).await;
        self.post("api", &one, &[("FriendlyName", "Renamed")]).await;
        self.delete("api", &one).await;
    }

    async fn verify(&mut self) {
        let service = self.post("verify", "/v2/Services", &[("FriendlyName", "Shop")]).await;
        self.get("verify", "/v2/Services?PageSize=1").await;
        let one = format!("/v2/Services/{}", sid(&service));
        self.get("verify", &one).await;
        self.post("verify", &one, &[("FriendlyName", "Renamed")]).await;

        let limits = format!("{one}/RateLimits");
        let limit =
            self.post("verify", &limits, &[("UniqueName", "address"), ("Description", "By address")]).await;
        self.get("verify", &limits).await;
        let limit = format!("{limits}/{}", sid(&limit));
        self.get("verify", &limit).await;
        self.post("verify", &limit, &[("Description", "By its address")]).await;
        let buckets = format!("{limit}/Buckets");
        let bucket = self.post("verify", &buckets, &[("Max", "5"), ("Interval", "60")]).await;
        self.get("verify", &buckets).await;
        let bucket = format!("{buckets}/{}", sid(&bucket));
        self.get("verify", &bucket).await;
        self.post("verify", &bucket, &[("Max", "6")]).await;
        self.delete("verify", &bucket).await;
        self.delete("verify", &limit).await;

        let start = format!("{one}/Verifications");
        let check = format!("{one}/VerificationCheck");
        let started = self.post("verify", &start, &[("To", PHONE), ("Channel", "sms")]).await;
        self.get("verify", &format!("{start}/{}", sid(&started))).await;
        self.post("verify", &check, &[("To", PHONE), ("Code", "0000")]).await;
        self.post("verify", &format!("{start}/{}", sid(&started)), &[("Status", "canceled")]).await;
        self.post("verify", &start, &[("To", PHONE), ("Channel", "call")]).await;
        self.actor.advance(60).await;
        let attempts = self.get("verify", "/v2/Attempts?PageSize=1").await;
        self.get("verify", &format!("/v2/Attempts/{}", sid(&attempts["attempts"][0]))).await;
        self.get("verify", "/v2/Attempts/Summary").await;
        self.post("verify", "/v2/SafeList/Numbers", &[("PhoneNumber", PHONE)]).await;
        let listed = format!("/v2/SafeList/Numbers/{PHONE}");
        self.get("verify", &listed).await;
        self.delete("verify", &listed).await;
        self.delete("verify", &one).await;
    }

    async fn pricing(&mut self) {
        for path in [
            "/v1/Messaging/Countries?PageSize=2",
            "/v1/Messaging/Countries/US",
            "/v1/Voice/Countries?PageSize=2",
            "/v1/Voice/Countries/US",
            "/v1/Voice/Numbers/+14155550101",
            "/v1/PhoneNumbers/Countries?PageSize=2",
            "/v1/PhoneNumbers/Countries/US",
            "/v2/Voice/Countries?PageSize=2",
            "/v2/Voice/Countries/US",
            "/v2/Voice/Numbers/+14155550101",
        ] {
            self.get("pricing", path).await;
        }
    }

    async fn lookups(&mut self) {
        self.get("lookups", "/v1/PhoneNumbers/+14155550101?Type=carrier").await;
        self.get("lookups", "/v2/PhoneNumbers/+14155550101?Fields=line_type_intelligence").await;
        self.get("lookups", "/v2/PhoneNumbers/+1415").await;
    }

    async fn permissions(&mut self) {
        self.get("accounts", "/v1/Messaging/GeoPermissions?CountryCode=DE").await;
        let germany = r#"{"country_code":"DE","type":"country","enabled":true}"#;
        self.call("PATCH", "accounts", "/v1/Messaging/GeoPermissions", &[("Permissions", germany)]).await;
        self.get("voice", "/v1/DialingPermissions/Countries?PageSize=2").await;
        self.get("voice", "/v1/DialingPermissions/Countries/LV").await;
        self.get("voice", "/v1/DialingPermissions/Countries/LV/HighRiskSpecialPrefixes").await;
        let latvia = r#"[{"iso_code":"LV","low_risk_numbers_enabled":"true",
            "high_risk_special_numbers_enabled":"false","high_risk_tollfraud_numbers_enabled":"false"}]"#;
        let form = [("UpdateRequest", latvia)];
        self.post("voice", "/v1/DialingPermissions/BulkCountryUpdates", &form).await;
        self.get("voice", "/v1/Settings").await;
        self.post("voice", "/v1/Settings", &[("DialingPermissionsInheritance", "false")]).await;
    }

    async fn monitor(&mut self) {
        let events = self.get("monitor", "/v1/Events?PageSize=2").await;
        self.get("monitor", &format!("/v1/Events/{}", sid(&events["events"][0]))).await;
        // An application that cannot be reached makes an alert.
        let url = format!("http://127.0.0.1:{}/", ringfence_testkit::free_port());
        let form = [("From", MAGIC), ("To", PHONE), ("Url", url.as_str())];
        self.post("api", &format!("{}/Calls.json", self.v2010), &form).await;
        self.actor.advance(120).await;
        let alerts = self.get("monitor", "/v1/Alerts").await;
        self.get("monitor", &format!("/v1/Alerts/{}", sid(&alerts["alerts"][0]))).await;
    }

    /// Last, since the token changes.
    async fn auth_tokens(&mut self) {
        self.post("accounts", "/v1/AuthTokens/Secondary", &[]).await;
        self.delete("accounts", "/v1/AuthTokens/Secondary").await;
        self.post("accounts", "/v1/AuthTokens/Secondary", &[]).await;
        let promoted = self.post("accounts", "/v1/AuthTokens/Promote", &[]).await;
        promoted["auth_token"].as_str().unwrap_or_default().clone_into(&mut self.actor.token);
        self.get("api", "/2010-04-01/Accounts.json").await;
    }

    async fn get(&mut self, product: &str, target: &str) -> Value {
        self.call("GET", product, target, &[]).await
    }

    async fn post(&mut self, product: &str, target: &str, form: &[(&str, &str)]) -> Value {
        self.call("POST", product, target, form).await
    }

    async fn delete(&mut self, product: &str, target: &str) {
        self.call("DELETE", product, target, &[]).await;
    }

    /// Asks with the main account's credentials; the judge hears the answer.
    async fn call(&mut self, method: &str, product: &str, target: &str, form: &[(&str, &str)]) -> Value {
        let request = self.actor.request(method, product, target, form);
        let response = self.actor.send(&request).await;
        let path = target.split('?').next().unwrap_or_default();
        self.judge.hear(method, &request.host, path, &response);
        serde_json::from_slice(&response.body).unwrap_or_default()
    }
}

fn sid(resource: &Value) -> &str {
    resource["sid"].as_str().unwrap_or("none")
}
