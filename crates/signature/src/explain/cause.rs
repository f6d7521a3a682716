//! The causes that can be told apart, each with a sentence for the problem and one for the remedy.

macro_rules! causes {
    ($($(#[$doc:meta])+ $variant:ident = $name:literal, $problem:literal, $remedy:literal;)+) => {
        /// What was wrong with a refused request. The names are stable.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum Cause {
            $($(#[$doc])+ $variant,)+
        }

        impl Cause {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$variant,)+];

            /// A stable name for logs and scripts.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $name,)+ }
            }

            /// A sentence that says what is probably wrong.
            pub const fn problem(self) -> &'static str {
                match self { $(Self::$variant => $problem,)+ }
            }

            /// A sentence that says what to change, here or at Twilio.
            pub const fn remedy(self) -> &'static str {
                match self { $(Self::$variant => $remedy,)+ }
            }
        }
    };
}

causes! {
    /// The header is missing or empty.
    NoSignature = "no_signature",
        "The request has no X-Twilio-Signature header.",
        "If Twilio sent it, something in between drops the header: let it through. Otherwise this was not Twilio.";
    /// The header is no base64 of an HMAC.
    SignatureNotBase64 = "signature_not_base64",
        "The X-Twilio-Signature header is not the base64 of a signature.",
        "Look for a proxy that joins, cuts or encodes headers. Twilio never sends such a signature.";
    /// The header has quotes, spaces, another alphabet or no padding, and fits once mended.
    SignatureDamaged = "signature_damaged",
        "The signature is right, but was changed on its way: quoted, padded, cut, or in another encoding.",
        "Find what rewrites the header, or hand it over byte for byte.";
    /// The settings header names a key that is not configured.
    UnknownSharedKey = "unknown_shared_key",
        "The request was signed with a SharedKey that is not configured here.",
        "Add the SharedKey with its id, secret and algorithm, or take it out of the webhook rule at Twilio.";
    /// No key is named where one is wanted.
    SharedKeyRequired = "shared_key_required",
        "This route admits only what a SharedKey signed, and the request names none: an auth token signed it, or nobody.",
        "Look whether the rule at Twilio covers this URL; until it does, set signed_by to \"any\" for this route.";
    /// SHA-1 where SHA-256 is pinned, or the reverse.
    WrongAlgorithm = "wrong_algorithm",
        "The signature was made with another algorithm than the one pinned for the key.",
        "Set the key's algorithm to that of the webhook setting at Twilio; auth tokens always use HMAC_SHA1.";
    /// `AccountSid` names an account without keys here.
    UnknownAccount = "unknown_account",
        "The request names an account that has no key here.",
        "Add the account with its auth token; a subaccount signs with its own token, not with its parent's.";
    /// The key belongs to another account than `AccountSid` names.
    AccountMismatch = "account_mismatch",
        "The request was signed with the key of one account and names another.",
        "Twilio does not send such requests: look for two accounts with each other's tokens, or for a forger.";
    /// The route does not admit the account.
    AccountNotAllowed = "account_not_allowed",
        "The signature is good, but this route does not admit the account that signed.",
        "Add the account to the route's accounts if it belongs there.";
    /// Beyond the cap on fields.
    TooManyParameters = "too_many_parameters",
        "The request has more parameters than any that Twilio sends.",
        "Nothing is to be changed here; find out who sends it.";
    /// Strict mode holds something against it.
    StrictMode = "strict_mode",
        "The signature is good, but a parameter does not have the shape that Twilio gives it.",
        "If the request is genuine, set strict to \"report\" for this route and tell the project which parameter it was.";

    /// Another key of the keyring fits.
    OtherKey = "other_key",
        "The request was signed with another key than those tried for it.",
        "Check which account owns the number or service that sends this, and which accounts this route lists.";
    /// `http` against `https`, `ws` against `wss`.
    Scheme = "scheme",
        "Twilio signed the URL with another scheme than the one configured or seen here.",
        "Set the public URL to the scheme that is entered at Twilio; behind a proxy that ends TLS this is https.";
    /// A WebSocket handshake that was not marked as one.
    WebSocketScheme = "websocket_scheme",
        "Twilio signed a WebSocket URL, and the request was checked as plain HTTP (or the reverse).",
        "Let the proxy hand on the Upgrade header, so that the handshake is seen as one.";
    /// Another host fits.
    Host = "host",
        "Twilio signed the URL with another host name.",
        "Set the public URL to the host that is entered at Twilio, not to the one behind the proxy.";
    /// Another port fits.
    Port = "port",
        "Twilio signed the URL with another port.",
        "Set the public URL to the port that is entered at Twilio, not to the one behind the proxy.";
    /// `user:password@` is in one and not in the other.
    Userinfo = "userinfo",
        "Twilio signed the URL with (or without) the user name and password in it.",
        "Put them into the public URL as they are at Twilio and allow both forms, or take them out at both ends.";
    /// The fragment with connection overrides.
    Fragment = "fragment",
        "The configured URL has a fragment (#…), which is never sent and not signed.",
        "Take the fragment out of the public URL here; it may stay at Twilio.";
    /// `/sms` against `/sms/`.
    TrailingSlash = "trailing_slash",
        "Twilio signed the path with (or without) a slash at its end.",
        "Enter the URL at Twilio exactly as the application serves it, and switch off redirects that add a slash.";
    /// A part of the path's beginning is gone or new.
    PathPrefix = "path_prefix",
        "Something in between cut off or put in a prefix of the path.",
        "Put the prefix into the public URL here, or let the proxy hand on the path as it came.";
    /// Escapes, doubled slashes or dots of the path were changed.
    PathRewritten = "path_rewritten",
        "Something in between rewrote the path: its escapes, doubled slashes or dots.",
        "Let the proxy hand on the path byte for byte (Traefik: sanitizePath=false; nginx: proxy_pass without a URI).";
    /// The query's fields are in another order.
    QueryOrder = "query_order",
        "The query's fields are in another order than when Twilio signed them.",
        "Use the raw query as received; frameworks that rebuild URLs sort it.";
    /// `%2f` against `%2F`.
    QueryHexCase = "query_hex_case",
        "The query's percent escapes have their letters in another case.",
        "Use the raw query as received, without parsing and rebuilding it.";
    /// `+` against `%20`.
    PlusOrPercent20 = "plus_or_percent20",
        "Spaces in the query were written as + and are %20 now, or the reverse.",
        "Use the raw query as received, without parsing and rebuilding it.";
    /// Other escapes of the query were changed.
    QueryEncoding = "query_encoding",
        "Characters in the query were escaped or unescaped after Twilio signed it.",
        "Use the raw query as received; if it is raw here, enter the URL at Twilio in its escaped form.";
    /// There is a query in one and none in the other.
    QueryDropped = "query_dropped",
        "Twilio signed the URL without the query that came with it.",
        "A WebSocket URL must have no query: hand custom values over with <Parameter>. Otherwise find what adds a query.";
    /// An empty query's `?`.
    EmptyQuery = "empty_query",
        "A question mark with nothing after it was dropped from the URL, or added to it.",
        "Enter the URL at Twilio without it.";
    /// Query and form were mixed up.
    QueryAsForm = "query_as_form",
        "Parameters of the query were signed as form fields, or form fields came as a query.",
        "A GET has no form fields: its query is signed as part of the URL and nothing is added. Find what turns POST into GET.";

    /// `bodySHA256` was needed and did not come.
    BodyHashMissing = "body_hash_missing",
        "The signature covers the URL alone, and nothing covers the body: there is no bodySHA256.",
        "Twilio adds bodySHA256 to every request whose body is not a form. Check that the content type came through.";
    /// `bodySHA256` was signed and is gone from the URL.
    BodyHashDropped = "body_hash_dropped",
        "Twilio signed a bodySHA256 in the query that is not there any more.",
        "Hand on the query as it came.";
    /// Several.
    BodyHashRepeated = "body_hash_repeated",
        "The URL has more than one bodySHA256.",
        "Take it out of the URL that is entered at Twilio; Twilio adds it by itself.";
    /// Right, but in capitals.
    BodyHashUpperCase = "body_hash_upper_case",
        "bodySHA256 is the body's hash, but in capitals.",
        "Twilio writes it in small letters; mend the sender.";
    /// Right, but base64.
    BodyHashBase64 = "body_hash_base64",
        "bodySHA256 is the body's hash, but in base64.",
        "Twilio writes it in hexadecimal; mend the sender.";
    /// The URL is genuine, the body is another one.
    BodyHashWrong = "body_hash_wrong",
        "The URL is signed, but the body is not the one whose hash it carries.",
        "Hash the raw body, before anything parses it; if it is raw, somebody changed it on its way.";

    /// A form that came with another content type.
    ContentType = "content_type",
        "The body is a form and was signed as one, but its Content-Type says otherwise.",
        "Hand on the Content-Type header as it came.";
    /// A body that is no form came with the content type of one.
    LabelledAsForm = "labelled_as_form",
        "The body is not a form and was signed by its hash in the URL, but its Content-Type says that it is a form.",
        "A proxy, a framework or a client library changed the Content-Type: hand it on as it came (application/json, mostly).";
    /// JSON whose members were signed as fields.
    JsonAsForm = "json_as_form",
        "Form fields were signed, and the body came as JSON.",
        "Something turns the form into JSON before it gets here: hand on the raw body and its Content-Type.";
    /// A body that was not signed at all.
    FormNotSigned = "form_not_signed",
        "The signature covers the URL alone, as for a GET, and a form came with it.",
        "Find what adds the body. If the method was changed from GET to POST on its way, undo that.";
    /// The raw body was signed.
    RawBodySigned = "raw_body_signed",
        "The raw body was signed after the URL instead of the sorted fields.",
        "Twilio does not sign so; mend the sender.";
    /// White space.
    FieldTrimmed = "field_trimmed",
        "White space at the end or the beginning of a field was signed and is gone, or is new.",
        "Switch off the trimming of fields before the check (Laravel: TrimStrings), or check the raw body.";
    /// Blank fields.
    BlankFieldsDropped = "blank_fields_dropped",
        "Fields without a value were signed and did not come.",
        "Check the raw body; frameworks drop blank fields or make null of them (Laravel: ConvertEmptyStringsToNull).";
    /// Blank fields that were put in.
    BlankFieldsAdded = "blank_fields_added",
        "Fields without a value came that were not signed: something on the way put them in.",
        "Check the raw body; find what fills in missing fields as blank ones (a form model, a replay tool, a gateway).";
    /// `\n` against `\r\n`.
    LineEndings = "line_endings",
        "Line ends in a field were changed.",
        "Check the raw body, before anything normalises line ends.";
    /// `+` that was meant.
    PlusInField = "plus_in_field",
        "A plus sign of a field came as a space, or a space as a plus sign.",
        "Fields were decoded once too often or once too seldom: hand on the raw body.";
    /// Escapes.
    FieldEncoding = "field_encoding",
        "Fields were decoded or encoded twice, or read in another character set.",
        "Hand on the raw body; decode it once, as bytes or as UTF-8.";
    /// Repeated fields.
    Duplicates = "duplicates",
        "A field was repeated at one end, and at the other it was one value, or all of them joined.",
        "Twilio signs each different value once, sorted: check the raw body, and mend the sender if it is not Twilio.";
    /// Fields in the order in which they came.
    Unsorted = "unsorted",
        "The fields were signed in the order in which they came, or in another wrong order.",
        "Twilio sorts them by name, byte by byte, capitals first; mend the sender.";

    /// A guess: the token is not the one.
    WrongToken = "wrong_token",
        "The auth token may be wrong, rotated, a secondary one, or an API key's secret.",
        "Compare it with the primary auth token in the Twilio console; API keys never sign webhooks.";
    /// A guess: a subaccount.
    SubaccountToken = "subaccount_token",
        "The number or service may belong to a subaccount, which signs with its own auth token.",
        "Add the subaccount with its token.";
    /// A guess: the body.
    BodyAltered = "body_altered",
        "The body or a field may have been changed, added or dropped on its way.",
        "Save the raw request at the first machine that gets it, and compare.";
    /// A guess: nobody genuine.
    ForgedRequest = "forged_request",
        "It may not have come from Twilio at all.",
        "Compare with the request log in the Twilio console; if the request is not there, the gate did its work.";
}
