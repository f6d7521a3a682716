//! What Twilio's error codes say, for `error_message` and for refusals without a text of their own.
//!
//! <https://www.twilio.com/docs/api/errors>.

/// The words of a code; empty for one that does not come up with messages.
pub(crate) fn description(code: u16) -> &'static str {
    match code {
        11100 => "Invalid URL format",
        11200 => "HTTP retrieval failure",
        11205 => "HTTP connection failure",
        11206 => "HTTP protocol violation",
        11210 => "HTTP bad host name",
        11215 => "HTTP too many redirects",
        11216 => "HTTP invalid redirect",
        11220 => "SSL/TLS handshake error",
        11237 => "Certificate Invalid - Could not find path to certificate",
        11750 => "TwiML response body too large",
        12100 => "Document parse failure",
        12200 => "Schema validation warning",
        12300 => "Invalid Content-Type",
        14101 => "Invalid \"To\" attribute",
        14102 => "Invalid \"From\" attribute",
        14103 => "Invalid Body",
        14106 => "Document retrieval limit reached",
        14107 => "Message rate limit exceeded",
        21408 => "Message blocked: permissions disabled for the destination region",
        21606 => "'From' number is not a valid message-capable Twilio number for this account",
        21610 => "Attempt to send to unsubscribed recipient",
        21612 => "Message cannot be sent with the current combination of \"To\" and/or \"From\" parameters",
        21617 => "The concatenated message body exceeds the 1600 character limit",
        21620 => "Invalid media URL(s)",
        21623 => "Number of media files exceeds allowed limit",
        21701 => "The Messaging Service does not exist",
        21703 => "The Messaging Service does not have a phone number available to send a message",
        21704 => "The Messaging Service contains no phone numbers",
        21705 => "The Messaging Service is invalid",
        21711 => "Sender is not associated with the specified Messaging Service",
        30001 => "Queue overflow",
        30002 => "Account suspended",
        30003 => "Unreachable destination handset",
        30004 => "Message blocked",
        30005 => "Unknown destination handset",
        30006 => "Landline or unreachable carrier",
        30007 => "Message filtered",
        30008 => "Unknown error",
        30036 => "Validity Period Expired",
        _ => "",
    }
}
