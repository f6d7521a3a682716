//! What a receiver knows of one request, as bytes, before anything is believed.

use crate::ReceivedUrl;

/// One HTTP request as it was received. Everything is borrowed and raw: nothing decoded, nothing normalised.
///
/// ```
/// use ringfence_signature::{ReceivedUrl, Request};
///
/// let request = Request {
///     method: "POST",
///     url: ReceivedUrl::parse(b"https://hooks.example.com/sms?tenant=7"),
///     websocket: false,
///     content_type: Some(b"application/x-www-form-urlencoded"),
///     body: b"Body=Hello&From=%2B14155550100",
///     signature: None,
///     settings: None,
/// };
/// assert!(request.is_form());
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// The method. Twilio does not sign it, and no rule depends on it; `explain` may name it.
    pub method: &'a str,
    /// The public URL that Twilio called.
    pub url: ReceivedUrl<'a>,
    /// Whether this is a WebSocket handshake: Twilio then signs the URL with `wss`, while a server sees `https`.
    pub websocket: bool,
    /// The `Content-Type` header, raw.
    pub content_type: Option<&'a [u8]>,
    /// The whole body, raw. Empty where there was none.
    pub body: &'a [u8],
    /// The [`SIGNATURE_HEADER`](crate::SIGNATURE_HEADER), raw.
    pub signature: Option<&'a [u8]>,
    /// The [`SETTINGS_HEADER`](crate::SETTINGS_HEADER), raw. It is not signed.
    pub settings: Option<&'a [u8]>,
}

impl Request<'_> {
    /// Whether the body's fields are signed: the media type is `application/x-www-form-urlencoded`, in any
    /// case and with any parameters, whatever the method.
    pub fn is_form(&self) -> bool {
        const FORM: &[u8] = b"application/x-www-form-urlencoded";
        let Some(content_type) = self.content_type else { return false };
        // What Twilio sends is this to the letter; the rest is for what a proxy may have made of it.
        let media_type = || content_type.split(|&byte| byte == b';').next().unwrap_or_default();
        content_type == FORM || media_type().trim_ascii().eq_ignore_ascii_case(FORM)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_one_media_type_is_a_form_in_any_case_and_with_any_parameter() {
        let is_form = |content_type: Option<&'static str>| {
            Request {
                method: "PUT",
                url: ReceivedUrl::parse(b""),
                websocket: false,
                content_type: content_type.map(str::as_bytes),
                body: b"",
                signature: None,
                settings: None,
            }
            .is_form()
        };
        for no in [
            "",
            ";",
            "application/json",
            "application/x-www-form-urlencoded2",
            "multipart/form-data; boundary=x",
        ] {
            assert!(!is_form(Some(no)), "{no}");
        }
        assert!(!is_form(Some("application/x-www-form-urlencoded, application/json")));
        assert!(!is_form(None));
        assert!(is_form(Some("application/x-www-form-urlencoded")));
        assert!(is_form(Some(" Application/X-WWW-Form-URLEncoded ;charset=UTF-8;x")));
    }
}
