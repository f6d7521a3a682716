//! `[notify]` as the control plane takes it.

use ringfence_control::notices::{
    CallSettings, Encryption, MailSettings, Settings, SettingsProblem, SmsSettings, SmtpServer,
    WebhookSettings,
};
use ringfence_model::PhoneNumber;

use super::notify::{Mail, Notify, Phone, SmtpTls, Webhook};

impl Notify {
    /// Whom to tell, and how. What the control plane could not work with is the error.
    pub(crate) fn settings(&self) -> Result<Settings, SettingsProblem> {
        Ok(Settings {
            mail: self.mail.as_ref().map(mail).transpose()?,
            webhook: self.webhook.as_ref().map(webhook).transpose()?,
            sms: self.sms.as_ref().map(sms).transpose()?,
            call: self.call.as_ref().map(call).transpose()?,
            ..Settings::default()
        })
    }
}

fn mail(mail: &Mail) -> Result<MailSettings, SettingsProblem> {
    // The addresses are read as usual; how the connection is protected is said by this file in its own words.
    let by_address = MailSettings::new("smtps://localhost", &mail.from, &mail.to, None)?;
    let server = SmtpServer {
        host: mail.host.clone(),
        port: mail.port,
        encryption: match mail.tls {
            SmtpTls::None => Encryption::None,
            SmtpTls::StartTls => Encryption::StartTls,
            SmtpTls::Implicit => Encryption::Implicit,
        },
        credentials: mail.login.clone(),
        hello: by_address.server.hello.clone(),
    };
    Ok(MailSettings { server, ..by_address })
}

fn webhook(webhook: &Webhook) -> Result<WebhookSettings, SettingsProblem> {
    let is_unsigned = webhook.secret.is_none();
    // Without a secret there was a warning, and whoever goes on knows it.
    let settings =
        WebhookSettings::new(webhook.url.expose(), webhook.secret.clone(), webhook.slack || is_unsigned)?;
    Ok(WebhookSettings { slack: webhook.slack, ..settings })
}

fn sms(phone: &Phone) -> Result<SmsSettings, SettingsProblem> {
    SmsSettings::new(&phone.account.to_string(), &phone.from, &texts(&phone.to))
}

fn call(phone: &Phone) -> Result<CallSettings, SettingsProblem> {
    CallSettings::new(&phone.account.to_string(), &phone.from, &texts(&phone.to))
}

fn texts(numbers: &[PhoneNumber]) -> Vec<String> {
    numbers.iter().map(ToString::to_string).collect()
}
