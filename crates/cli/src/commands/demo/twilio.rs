//! The sandbox as Twilio: an account with a number, tenants with others, all pointed at the gate; and how the tour asks for a
//! text, a call or a forgery.

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;

use anyhow::{Context, bail};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use ringfence_model::Amount;
use ringfence_sandbox::{Sandbox, SandboxOptions, Settings};
use ringfence_twilio::wire::Form;
use serde_json::{Value, json};

use super::client::{Outgoing, Reply, send};
use crate::commands::serve::SystemClock;

/// The phone that texts and calls in the tour.
pub(super) const PHONE: &str = "+12025550143";

/// A sandbox at work, and who is in it.
#[derive(Debug, Clone)]
pub(super) struct Twilio {
    pub(super) address: SocketAddr,
    sandbox: Sandbox,
    pub(super) parent: Account,
    pub(super) tenant: Account,
    /// Another tenant, whose application sends through the egress.
    pub(super) neighbour: Account,
    /// An account that no limit holds for.
    pub(super) unguarded: Account,
    /// The same three once more, for the page.
    pub(super) of_page: [Account; 3],
}

/// An account at the sandbox.
#[derive(Debug, Clone, Default)]
pub(super) struct Account {
    pub(super) name: String,
    pub(super) sid: String,
    pub(super) token: String,
    pub(super) number: String,
}

/// A webhook as the sandbox's log tells it, with the answer that it got.
#[derive(Debug, Clone)]
pub(super) struct Delivery {
    pub(super) sid: String,
    pub(super) status: u16,
    /// As it left.
    pub(super) request: Outgoing,
}

/// Starts a sandbox whose webhooks go to the gate under `hooks`, as `http://127.0.0.1:8443`.
pub(super) async fn start(listener: TcpListener, seed: u64, hooks: &str) -> anyhow::Result<Twilio> {
    let mut settings = Settings::default();
    settings.calls.ringing_ms = 500;
    // Twilio counts once a minute; nobody wants to watch that.
    settings.usage_lag_s = 0;
    settings.trigger_interval_s = 1;
    (settings.messages.queued_ms, settings.messages.sending_ms) = (5, 5);
    let options = SandboxOptions { seed, settings, ..SandboxOptions::default() };
    let sandbox = Sandbox::new(options, &listener, Arc::new(SystemClock))?;
    let (address, serving) = (sandbox.address(), sandbox.clone());
    tokio::spawn(async move {
        let Err(error) = serving.serve(listener).await;
        tracing::error!(%error, "the sandbox stopped");
    });
    let sid = sandbox.account_sid();
    let token = sandbox.auth_token(sid).context("the main account has a token")?;
    let parent =
        Account { name: "the parent".to_owned(), sid: sid.to_string(), token, number: String::new() };
    let nobody = Account::default;
    let mut twilio = Twilio {
        address,
        sandbox,
        parent,
        tenant: nobody(),
        neighbour: nobody(),
        unguarded: nobody(),
        of_page: [nobody(), nobody(), nobody()],
    };
    twilio.furnish(hooks).await?;
    Ok(twilio)
}

impl Twilio {
    /// A number each for the account and for new subaccounts, and where what arrives there goes.
    async fn furnish(&mut self, hooks: &str) -> anyhow::Result<()> {
        let mut parent = self.parent.clone();
        self.give_number(&mut parent, hooks).await?;
        self.parent = parent;
        self.tenant = self.subaccount("Tenant Ada", hooks).await?;
        self.neighbour = self.subaccount("Tenant Ben", hooks).await?;
        self.unguarded = self.subaccount("Unguarded Cleo", hooks).await?;
        self.of_page = [
            self.subaccount("Unguarded Fay", hooks).await?,
            self.subaccount("Tenant Dan", hooks).await?,
            self.subaccount("Tenant Eve", hooks).await?,
        ];
        Ok(())
    }

    async fn subaccount(&self, name: &str, hooks: &str) -> anyhow::Result<Account> {
        let made = self.api(&self.parent, "", &[("FriendlyName", name)]).await?;
        let (sid, token) = (text_of(&made, "sid")?, text_of(&made, "auth_token")?);
        let mut account = Account { name: name.to_owned(), sid, token, number: String::new() };
        self.give_number(&mut account, hooks).await?;
        Ok(account)
    }

    async fn give_number(&self, account: &mut Account, hooks: &str) -> anyhow::Result<()> {
        let (sms, voice) = (format!("{hooks}/twilio/sms"), format!("{hooks}/twilio/voice"));
        let urls = [("AreaCode", "415"), ("SmsUrl", sms.as_str()), ("VoiceUrl", voice.as_str())];
        let path = format!("/{}/IncomingPhoneNumbers", account.sid);
        account.number = text_of(&self.api(account, &path, &urls).await?, "phone_number")?;
        Ok(())
    }

    /// Whoever has an account's token sends a message from its number; gives the answer.
    pub(super) async fn send(&self, account: &Account, to: &str, body: &str) -> anyhow::Result<Reply> {
        let form = [("From", account.number.as_str()), ("To", to), ("Body", body)];
        let outgoing = self.post(account, &format!("/{}/Messages", account.sid), &form);
        let reply = send(self.address, &outgoing).await?;
        self.sandbox.settle().await;
        Ok(reply)
    }

    /// Whoever has a virtual credential sends a message through the egress; gives the answer.
    pub(super) async fn send_through(
        &self,
        egress: SocketAddr,
        account: &Account,
        secret: &str,
        (to, body): (&str, &str),
    ) -> anyhow::Result<Reply> {
        let form = [("From", account.number.as_str()), ("To", to), ("Body", body)];
        let with_secret = Account { token: secret.to_owned(), ..account.clone() };
        let mut outgoing = self.post(&with_secret, &format!("/{}/Messages", account.sid), &form);
        outgoing.target = format!("/api.twilio.com{}", outgoing.target);
        let reply = send(egress, &outgoing).await?;
        self.sandbox.settle().await;
        Ok(reply)
    }

    /// Somebody texts an account's number; ends when the application has answered.
    pub(super) async fn text(&self, to: &Account, body: &str) -> anyhow::Result<Delivery> {
        self.control("messages", &json!({ "from": PHONE, "to": to.number, "body": body })).await?;
        self.sandbox.settle().await;
        self.last("message").await
    }

    /// Somebody calls an account's number; ends when the application has answered.
    pub(super) async fn call(&self, to: &Account) -> anyhow::Result<Delivery> {
        self.control("calls", &json!({ "from": PHONE, "to": to.number })).await?;
        self.sandbox.settle().await;
        self.last("voice").await
    }

    /// A genuine webhook with these parameters.
    pub(super) async fn webhook(&self, url: &str, method: &str, params: Value) -> anyhow::Result<Delivery> {
        delivery(&self.control("webhooks", &json!({ "url": url, "method": method, "params": params })).await?)
    }

    /// A forged one; `how` as the control API names it. Without parameters it looks like a text.
    pub(super) async fn forge(&self, how: &str, url: &str, params: &Value) -> anyhow::Result<Delivery> {
        delivery(&self.control("forge", &json!({ "how": how, "url": url, "params": params })).await?)
    }

    /// An earlier one once more, byte for byte.
    pub(super) async fn replay(&self, earlier: &Delivery) -> anyhow::Result<Delivery> {
        delivery(&self.control("forge", &json!({ "how": "replay", "delivery": earlier.sid })).await?)
    }

    /// The values at which an account's usage triggers fire.
    pub(super) async fn triggers_at(&self, account: &Account) -> anyhow::Result<Vec<Amount>> {
        let list = self.read(&format!("/{}/Usage/Triggers.json", account.sid)).await?;
        let triggers = list["usage_triggers"].as_array().context("usage triggers are a list")?;
        let at = |trigger| text_of(trigger, "trigger_value")?.parse().ok().context("a value is no amount");
        triggers.iter().map(at).collect()
    }

    /// What an account has spent today.
    pub(super) async fn spent_today(&self, account: &Account) -> anyhow::Result<Amount> {
        let path = format!("/{}/Usage/Records/Today.json?Category=totalprice", account.sid);
        let list = self.read(&path).await?;
        let price = list["usage_records"]
            .get(0)
            .map_or_else(|| Ok("0".to_owned()), |record| text_of(record, "price"));
        price?.parse().ok().context("a price is no amount")
    }

    /// `active` or `suspended`.
    pub(super) async fn status(&self, account: &Account) -> anyhow::Result<String> {
        text_of(&self.read(&format!("/{}.json", account.sid)).await?, "status")
    }

    /// What the phone of a number shows: texts and calls that are over, the oldest first.
    pub(super) async fn phone(&self, number: &str) -> anyhow::Result<Value> {
        let number = number.trim_start_matches('+');
        let mut shown = self.ask(self.control_request("GET", &format!("phones?number={number}"))).await?;
        Ok(shown["phones"][0]["thread"].take())
    }

    /// The newest call of the account to a number, as the phone has it.
    pub(super) async fn last_call(&self, to: &str) -> anyhow::Result<Option<Value>> {
        let to = to.replace('+', "%2B");
        let list = self.read(&format!("/{}/Calls.json?To={to}&PageSize=1", self.parent.sid)).await?;
        let Some(call) = list["calls"].get(0) else { return Ok(None) };
        let path = format!("calls/{}", text_of(call, "sid")?);
        self.ask(self.control_request("GET", &path)).await.map(Some)
    }

    /// Somebody presses a key during a call.
    pub(super) async fn press(&self, call: &str, key: &str) -> anyhow::Result<()> {
        self.control(&format!("calls/{call}/keys"), &json!({ "digits": key })).await?;
        self.sandbox.settle().await;
        Ok(())
    }

    async fn last(&self, kind: &str) -> anyhow::Result<Delivery> {
        let list = self.ask(self.control_request("GET", &format!("deliveries?limit=1&kind={kind}"))).await?;
        delivery(list["deliveries"].get(0).with_context(|| format!("no webhook of kind {kind} has left"))?)
    }

    async fn control(&self, path: &str, body: &Value) -> anyhow::Result<Value> {
        let mut outgoing = self.control_request("POST", path).header("content-type", "application/json");
        outgoing.body = body.to_string().into_bytes();
        self.ask(outgoing).await
    }

    /// A request to what the sandbox has beside Twilio's API.
    fn control_request(&self, method: &str, path: &str) -> Outgoing {
        Outgoing::new(method, &format!("/_sandbox/{path}")).header("host", &self.address.to_string())
    }

    /// A POST to Twilio's API, below the accounts.
    async fn api(&self, account: &Account, path: &str, form: &[(&str, &str)]) -> anyhow::Result<Value> {
        self.ask(self.post(account, path, form)).await
    }

    fn post(&self, account: &Account, path: &str, form: &[(&str, &str)]) -> Outgoing {
        let mut outgoing = self
            .request("POST", account, &format!("{path}.json"))
            .header("content-type", "application/x-www-form-urlencoded");
        outgoing.body = form.iter().copied().collect::<Form>().encode().into_bytes();
        outgoing
    }

    /// What the parent account sees.
    async fn read(&self, path: &str) -> anyhow::Result<Value> {
        self.ask(self.request("GET", &self.parent, path)).await
    }

    /// A request to Twilio's API.
    fn request(&self, method: &str, account: &Account, path: &str) -> Outgoing {
        let credentials = BASE64.encode(format!("{}:{}", account.sid, account.token));
        Outgoing::new(method, &format!("/2010-04-01/Accounts{path}"))
            .header("host", &self.address.to_string())
            .header("authorization", &format!("Basic {credentials}"))
    }

    async fn ask(&self, outgoing: Outgoing) -> anyhow::Result<Value> {
        let reply = send(self.address, &outgoing).await?;
        let text = String::from_utf8_lossy(&reply.body);
        if !(200..300).contains(&reply.status) {
            bail!("the sandbox answered {} to {}: {text}", reply.status, outgoing.target);
        }
        serde_json::from_str(&text).with_context(|| format!("the sandbox's answer to {}", outgoing.target))
    }
}

fn delivery(shown: &Value) -> anyhow::Result<Delivery> {
    let request = &shown["request"];
    let url = text_of(request, "url")?;
    let target = url.splitn(4, '/').nth(3).map_or_else(|| "/".to_owned(), |rest| format!("/{rest}"));
    let host = url.split('/').nth(2).unwrap_or_default();
    let mut outgoing = Outgoing::new(&text_of(request, "method")?, &target).header("host", host);
    for header in request["headers"].as_array().context("a request has headers")? {
        if let (Some(name), Some(value)) = (header[0].as_str(), header[1].as_str()) {
            outgoing = outgoing.header(name, value);
        }
    }
    outgoing.body = text_of(request, "body")?.into_bytes();
    let last = shown["tries"].as_array().and_then(|tries| tries.last());
    let status = last.and_then(|last| last["status"].as_u64()).and_then(|status| u16::try_from(status).ok());
    Ok(Delivery {
        sid: text_of(shown, "sid")?,
        status: status.with_context(|| format!("nobody answered {url}: {}", shown["problem"]))?,
        request: outgoing,
    })
}

fn text_of(value: &Value, name: &str) -> anyhow::Result<String> {
    value[name].as_str().map(str::to_owned).with_context(|| format!("{name} is not in {value}"))
}
