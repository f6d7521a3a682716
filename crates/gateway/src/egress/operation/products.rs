//! The hosts beside `api.twilio.com`, each of which is a product.
//!
//! Of products that are not here, and of paths that are not, nothing is known: conversations, flows, rooms and the rest
//! send and call on their own, and what that costs cannot be seen in one request.

use ringfence_store::EgressArea::{self, Accounts, Lookups, Messages, Reads, Settings, Verifications};

use super::Class::{self, Media, Priced as Costs, Read, Secret, Unpriced, Write};
use super::Priced::{LookupFetch, VerificationCheck, VerificationStart};
use super::Row;
use super::Verb::{self, Delete, Get, Patch, Post, Put};

type Methods = &'static [(Verb, Class)];

const READ: Methods = &[(Get, Read)];
const READ_DELETE: Methods = &[(Get, Read), (Delete, Write)];
const LIST_WRITE: Methods = &[(Get, Read), (Post, Write)];
const ALL: Methods = &[(Get, Read), (Post, Write), (Delete, Write)];
const WRITE: Methods = &[(Post, Write)];
const BILLED: Methods = &[(Post, Unpriced)];
const LIST_BILLED: Methods = &[(Get, Read), (Post, Unpriced)];
const NEVER: Methods = &[(Get, Secret), (Post, Secret), (Delete, Secret)];
const OPENS_SIP: Methods = &[(Get, Read), (Post, Secret), (Delete, Write)];

const fn row(product: &'static str, path: &'static str, area: EgressArea, methods: Methods) -> Row {
    Row { product, path, area, methods }
}

/// Where a trunk is told to record what it carries.
pub(crate) const RECORDING_OF_TRUNK: &str = "/v1/Trunks/{sid}/Recording";

/// Host by host, in the order of their documents.
pub(super) const ROWS: &[Row] = &[
    row("accounts", "/v1/AuthTokens/Promote", Accounts, NEVER),
    row("accounts", "/v1/AuthTokens/Secondary", Accounts, NEVER),
    row("accounts", "/v1/Consents/Bulk", Settings, WRITE),
    row("accounts", "/v1/Contacts/Bulk", Settings, WRITE),
    row("accounts", "/v1/Credentials/AWS", Settings, NEVER),
    row("accounts", "/v1/Credentials/AWS/{sid}", Settings, NEVER),
    row("accounts", "/v1/Credentials/PublicKeys", Settings, NEVER),
    row("accounts", "/v1/Credentials/PublicKeys/{sid}", Settings, NEVER),
    row("accounts", "/v1/Messaging/GeoPermissions", Settings, &[(Get, Read), (Patch, Write)]),
    row("accounts", "/v1/SafeList/Numbers", Settings, ALL),
    row("lookups", "/v1/PhoneNumbers/{}", Lookups, &[(Get, Costs(LookupFetch))]),
    row("lookups", "/v2/PhoneNumbers/{}", Lookups, &[(Get, Costs(LookupFetch))]),
    row("lookups", "/v2/batch/query", Lookups, BILLED),
    row("lookups", "/v2/RateLimits", Lookups, READ),
    row(
        "lookups",
        "/v2/RateLimits/Fields/{}/Bucket/{}",
        Lookups,
        &[(Get, Read), (Put, Write), (Delete, Write)],
    ),
    row(
        "lookups",
        "/v2/PhoneNumbers/{}/Overrides/{}",
        Lookups,
        &[(Get, Read), (Post, Write), (Put, Write), (Delete, Write)],
    ),
    row("messaging", "/v1/Deactivations", Messages, &[(Get, Media)]),
    row("messaging", "/v1/LinkShortening/Domains/{sid}/Certificate", Settings, ALL),
    row("messaging", "/v1/LinkShortening/Domains/{sid}/Config", Settings, LIST_WRITE),
    row(
        "messaging",
        "/v1/LinkShortening/Domains/{sid}/MessagingServices/{sid}",
        Settings,
        &[(Post, Write), (Delete, Write)],
    ),
    row("messaging", "/v1/LinkShortening/Domains/{sid}/RequestManagedCert", Settings, WRITE),
    row("messaging", "/v1/LinkShortening/Domains/{sid}/ValidateDns", Settings, READ),
    row("messaging", "/v1/LinkShortening/MessagingService/{sid}/DomainConfig", Settings, READ),
    row("messaging", "/v1/LinkShortening/MessagingServices/{sid}/Domain", Settings, READ),
    row("messaging", "/v1/Services", Settings, LIST_WRITE),
    row("messaging", "/v1/Services/PreregisteredUsa2p", Settings, BILLED),
    row("messaging", "/v1/Services/Usecases", Settings, READ),
    row("messaging", "/v1/Services/{sid}", Settings, ALL),
    row("messaging", "/v1/Services/{sid}/AlphaSenders", Settings, LIST_WRITE),
    row("messaging", "/v1/Services/{sid}/AlphaSenders/{sid}", Settings, READ_DELETE),
    row("messaging", "/v1/Services/{sid}/ChannelSenders", Settings, LIST_WRITE),
    row("messaging", "/v1/Services/{sid}/ChannelSenders/{sid}", Settings, READ_DELETE),
    row("messaging", "/v1/Services/{sid}/Compliance/Usa2p", Settings, LIST_BILLED),
    row("messaging", "/v1/Services/{sid}/Compliance/Usa2p/Usecases", Settings, READ),
    row("messaging", "/v1/Services/{sid}/Compliance/Usa2p/{sid}", Settings, ALL),
    row("messaging", "/v1/Services/{sid}/DestinationAlphaSenders", Settings, LIST_WRITE),
    row("messaging", "/v1/Services/{sid}/DestinationAlphaSenders/{sid}", Settings, READ_DELETE),
    row("messaging", "/v1/Services/{sid}/PhoneNumbers", Settings, LIST_WRITE),
    row("messaging", "/v1/Services/{sid}/PhoneNumbers/{sid}", Settings, READ_DELETE),
    row("messaging", "/v1/Services/{sid}/ShortCodes", Settings, LIST_WRITE),
    row("messaging", "/v1/Services/{sid}/ShortCodes/{sid}", Settings, READ_DELETE),
    row("messaging", "/v1/Tollfree/Verifications", Settings, LIST_WRITE),
    row("messaging", "/v1/Tollfree/Verifications/{sid}", Settings, ALL),
    row("messaging", "/v1/a2p/BrandRegistrations", Settings, LIST_BILLED),
    row("messaging", "/v1/a2p/BrandRegistrations/{sid}", Settings, LIST_BILLED),
    row("messaging", "/v1/a2p/BrandRegistrations/{sid}/SmsOtp", Settings, BILLED),
    row("messaging", "/v1/a2p/BrandRegistrations/{sid}/Vettings", Settings, LIST_BILLED),
    row("messaging", "/v1/a2p/BrandRegistrations/{sid}/Vettings/{sid}", Settings, READ),
    row("monitor", "/v1/Alerts", Reads, READ),
    row("monitor", "/v1/Alerts/{sid}", Reads, READ),
    row("monitor", "/v1/Events", Reads, READ),
    row("monitor", "/v1/Events/{sid}", Reads, READ),
    row("pricing", "/v1/Messaging/Countries", Reads, READ),
    row("pricing", "/v1/Messaging/Countries/{}", Reads, READ),
    row("pricing", "/v1/PhoneNumbers/Countries", Reads, READ),
    row("pricing", "/v1/PhoneNumbers/Countries/{}", Reads, READ),
    row("pricing", "/v1/Voice/Countries", Reads, READ),
    row("pricing", "/v1/Voice/Countries/{}", Reads, READ),
    row("pricing", "/v1/Voice/Numbers/{}", Reads, READ),
    row("pricing", "/v2/Trunking/Countries", Reads, READ),
    row("pricing", "/v2/Trunking/Countries/{}", Reads, READ),
    row("pricing", "/v2/Trunking/Numbers/{}", Reads, READ),
    row("pricing", "/v2/Voice/Countries", Reads, READ),
    row("pricing", "/v2/Voice/Countries/{}", Reads, READ),
    row("pricing", "/v2/Voice/Numbers/{}", Reads, READ),
    // A trunk carries calls of a SIP server to the telephone network, and no request of theirs passes here.
    row("trunking", "/v1/Trunks", Settings, &[(Get, Read), (Post, Secret)]),
    row("trunking", "/v1/Trunks/{sid}", Settings, OPENS_SIP),
    row("trunking", "/v1/Trunks/{sid}/CredentialLists", Settings, OPENS_SIP),
    row("trunking", "/v1/Trunks/{sid}/CredentialLists/{sid}", Settings, READ_DELETE),
    row("trunking", "/v1/Trunks/{sid}/IpAccessControlLists", Settings, OPENS_SIP),
    row("trunking", "/v1/Trunks/{sid}/IpAccessControlLists/{sid}", Settings, READ_DELETE),
    row("trunking", "/v1/Trunks/{sid}/OriginationUrls", Settings, LIST_WRITE),
    row("trunking", "/v1/Trunks/{sid}/OriginationUrls/{sid}", Settings, ALL),
    row("trunking", "/v1/Trunks/{sid}/PhoneNumbers", Settings, LIST_WRITE),
    row("trunking", "/v1/Trunks/{sid}/PhoneNumbers/{sid}", Settings, READ_DELETE),
    row("trunking", RECORDING_OF_TRUNK, Settings, LIST_WRITE),
    row("verify", "/v2/Attempts", Verifications, READ),
    row("verify", "/v2/Attempts/Summary", Verifications, READ),
    row("verify", "/v2/Attempts/{sid}", Verifications, READ),
    row("verify", "/v2/Forms/{}", Verifications, READ),
    row("verify", "/v2/SafeList/Numbers", Settings, WRITE),
    row("verify", "/v2/SafeList/Numbers/{}", Settings, READ_DELETE),
    row("verify", "/v2/Services", Settings, LIST_WRITE),
    row("verify", "/v2/Services/{sid}", Settings, ALL),
    row("verify", "/v2/Services/{sid}/AccessTokens", Verifications, NEVER),
    row("verify", "/v2/Services/{sid}/AccessTokens/{sid}", Verifications, NEVER),
    row("verify", "/v2/Services/{sid}/Entities", Verifications, LIST_WRITE),
    row("verify", "/v2/Services/{sid}/Entities/{}", Verifications, READ_DELETE),
    // Verify bills what a push or an authenticator application proves.
    row("verify", "/v2/Services/{sid}/Entities/{}/Challenges", Verifications, LIST_BILLED),
    row("verify", "/v2/Services/{sid}/Entities/{}/Challenges/{sid}", Verifications, LIST_BILLED),
    row("verify", "/v2/Services/{sid}/Entities/{}/Challenges/{sid}/Notifications", Verifications, BILLED),
    row("verify", "/v2/Services/{sid}/Entities/{}/Factors", Verifications, LIST_WRITE),
    row("verify", "/v2/Services/{sid}/Entities/{}/Factors/{sid}", Verifications, ALL),
    row("verify", "/v2/Services/{sid}/MessagingConfigurations", Settings, LIST_WRITE),
    row("verify", "/v2/Services/{sid}/MessagingConfigurations/{}", Settings, ALL),
    row("verify", "/v2/Services/{sid}/Passkeys/ApproveChallenge", Verifications, BILLED),
    row("verify", "/v2/Services/{sid}/Passkeys/Challenges", Verifications, BILLED),
    row("verify", "/v2/Services/{sid}/Passkeys/Factors", Verifications, WRITE),
    row("verify", "/v2/Services/{sid}/Passkeys/VerifyFactor", Verifications, BILLED),
    row("verify", "/v2/Services/{sid}/RateLimits", Settings, LIST_WRITE),
    row("verify", "/v2/Services/{sid}/RateLimits/{sid}", Settings, ALL),
    row("verify", "/v2/Services/{sid}/RateLimits/{sid}/Buckets", Settings, LIST_WRITE),
    row("verify", "/v2/Services/{sid}/RateLimits/{sid}/Buckets/{sid}", Settings, ALL),
    row("verify", "/v2/Services/{sid}/VerificationCheck", Verifications, &[(Post, Costs(VerificationCheck))]),
    row("verify", "/v2/Services/{sid}/Verifications", Verifications, &[(Post, Costs(VerificationStart))]),
    // What an application has checked by itself is billed as a check of Twilio's.
    row(
        "verify",
        "/v2/Services/{sid}/Verifications/{}",
        Verifications,
        &[(Get, Read), (Post, Costs(VerificationCheck))],
    ),
    row("verify", "/v2/Services/{sid}/Webhooks", Settings, LIST_WRITE),
    row("verify", "/v2/Services/{sid}/Webhooks/{sid}", Settings, ALL),
    row("verify", "/v2/Templates", Verifications, READ),
    row("voice", "/v1/Archives/{}/Calls/{sid}", Settings, &[(Delete, Write)]),
    row("voice", "/v1/ByocTrunks", Settings, LIST_WRITE),
    row("voice", "/v1/ByocTrunks/{sid}", Settings, ALL),
    row("voice", "/v1/ConnectionPolicies", Settings, LIST_WRITE),
    row("voice", "/v1/ConnectionPolicies/{sid}", Settings, ALL),
    row("voice", "/v1/ConnectionPolicies/{sid}/Targets", Settings, LIST_WRITE),
    row("voice", "/v1/ConnectionPolicies/{sid}/Targets/{sid}", Settings, ALL),
    row("voice", "/v1/DialingPermissions/BulkCountryUpdates", Settings, WRITE),
    row("voice", "/v1/DialingPermissions/Countries", Settings, READ),
    row("voice", "/v1/DialingPermissions/Countries/{}", Settings, READ),
    row("voice", "/v1/DialingPermissions/Countries/{}/HighRiskSpecialPrefixes", Settings, READ),
    row("voice", "/v1/IpRecords", Settings, OPENS_SIP),
    row("voice", "/v1/IpRecords/{sid}", Settings, OPENS_SIP),
    row("voice", "/v1/Settings", Settings, LIST_WRITE),
    row("voice", "/v1/SourceIpMappings", Settings, OPENS_SIP),
    row("voice", "/v1/SourceIpMappings/{sid}", Settings, OPENS_SIP),
];
