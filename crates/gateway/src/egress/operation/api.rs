//! `api.twilio.com`, version 2010-04-01.

use ringfence_store::EgressArea::{self, Accounts, Calls, Messages, Numbers, Reads, Settings};

use super::Class::{self, Media, Priced as Costs, Read, Secret, Unpriced, Write};
use super::Priced::{CallCreate, CallUpdate, MessageCreate, NumberPurchase, ParticipantCreate};
use super::Row;
use super::Verb::{self, Delete, Get, Post};

type Methods = &'static [(Verb, Class)];

const READ: Methods = &[(Get, Read)];
const READ_DELETE: Methods = &[(Get, Read), (Delete, Write)];
const LIST_WRITE: Methods = &[(Get, Read), (Post, Write)];
const ALL: Methods = &[(Get, Read), (Post, Write), (Delete, Write)];
const FILE: Methods = &[(Get, Media)];
const WRITE: Methods = &[(Post, Write)];
const BILLED: Methods = &[(Post, Unpriced)];
const NEVER: Methods = &[(Get, Secret), (Post, Secret), (Delete, Secret)];
const PURCHASE: Methods = &[(Get, Read), (Post, Costs(NumberPurchase))];
/// A name and a password, or an address, with which a SIP end calls out by itself, past the egress.
const OPENS_SIP: Methods = &[(Get, Read), (Post, Secret), (Delete, Write)];

const fn row(path: &'static str, area: EgressArea, methods: Methods) -> Row {
    Row { product: "api", path, area, methods }
}

/// Account by account, in the order of the document.
pub(super) const ROWS: &[Row] = &[
    // The answers have auth tokens, which are removed; a new account is answered with one that is needed.
    row("/2010-04-01/Accounts.json", Accounts, &[(Get, Read), (Post, Secret)]),
    row("/2010-04-01/Accounts/{AC}.json", Reads, READ),
    row("/2010-04-01/Accounts/{AC}.json", Accounts, WRITE),
    row("/2010-04-01/Accounts/{AC}/Addresses.json", Settings, LIST_WRITE),
    row("/2010-04-01/Accounts/{AC}/Addresses/{sid}.json", Settings, ALL),
    row("/2010-04-01/Accounts/{AC}/Addresses/{sid}/DependentPhoneNumbers.json", Settings, READ),
    row("/2010-04-01/Accounts/{AC}/Applications.json", Settings, LIST_WRITE),
    row("/2010-04-01/Accounts/{AC}/Applications/{sid}.json", Settings, ALL),
    row("/2010-04-01/Accounts/{AC}/AuthorizedConnectApps.json", Settings, NEVER),
    row("/2010-04-01/Accounts/{AC}/AuthorizedConnectApps/{sid}.json", Settings, NEVER),
    row("/2010-04-01/Accounts/{AC}/AvailablePhoneNumbers.json", Numbers, READ),
    row("/2010-04-01/Accounts/{AC}/AvailablePhoneNumbers/{}.json", Numbers, READ),
    row("/2010-04-01/Accounts/{AC}/AvailablePhoneNumbers/{}/Local.json", Numbers, READ),
    row("/2010-04-01/Accounts/{AC}/AvailablePhoneNumbers/{}/MachineToMachine.json", Numbers, READ),
    row("/2010-04-01/Accounts/{AC}/AvailablePhoneNumbers/{}/Mobile.json", Numbers, READ),
    row("/2010-04-01/Accounts/{AC}/AvailablePhoneNumbers/{}/National.json", Numbers, READ),
    row("/2010-04-01/Accounts/{AC}/AvailablePhoneNumbers/{}/SharedCost.json", Numbers, READ),
    row("/2010-04-01/Accounts/{AC}/AvailablePhoneNumbers/{}/TollFree.json", Numbers, READ),
    row("/2010-04-01/Accounts/{AC}/AvailablePhoneNumbers/{}/Voip.json", Numbers, READ),
    row("/2010-04-01/Accounts/{AC}/Balance.json", Reads, READ),
    row("/2010-04-01/Accounts/{AC}/Calls.json", Calls, &[(Get, Read), (Post, Costs(CallCreate))]),
    row(
        "/2010-04-01/Accounts/{AC}/Calls/{sid}.json",
        Calls,
        &[(Get, Read), (Post, Costs(CallUpdate)), (Delete, Write)],
    ),
    row("/2010-04-01/Accounts/{AC}/Calls/{sid}/Events.json", Calls, READ),
    row("/2010-04-01/Accounts/{AC}/Calls/{sid}/Notifications.json", Calls, READ),
    row("/2010-04-01/Accounts/{AC}/Calls/{sid}/Notifications/{sid}.json", Calls, READ),
    row("/2010-04-01/Accounts/{AC}/Calls/{sid}/Payments.json", Calls, BILLED),
    row("/2010-04-01/Accounts/{AC}/Calls/{sid}/Payments/{sid}.json", Calls, BILLED),
    row("/2010-04-01/Accounts/{AC}/Calls/{sid}/Recordings.json", Calls, &[(Get, Read), (Post, Unpriced)]),
    row("/2010-04-01/Accounts/{AC}/Calls/{sid}/Recordings/{}.json", Calls, ALL),
    row("/2010-04-01/Accounts/{AC}/Calls/{sid}/Siprec.json", Calls, BILLED),
    // Stopping one is the only thing that can be done to it.
    row("/2010-04-01/Accounts/{AC}/Calls/{sid}/Siprec/{}.json", Calls, WRITE),
    row("/2010-04-01/Accounts/{AC}/Calls/{sid}/Streams.json", Calls, BILLED),
    row("/2010-04-01/Accounts/{AC}/Calls/{sid}/Streams/{}.json", Calls, WRITE),
    row("/2010-04-01/Accounts/{AC}/Calls/{sid}/Transcriptions.json", Calls, BILLED),
    row("/2010-04-01/Accounts/{AC}/Calls/{sid}/Transcriptions/{}.json", Calls, WRITE),
    row("/2010-04-01/Accounts/{AC}/Calls/{sid}/UserDefinedMessages.json", Calls, WRITE),
    row("/2010-04-01/Accounts/{AC}/Calls/{sid}/UserDefinedMessageSubscriptions.json", Calls, WRITE),
    row(
        "/2010-04-01/Accounts/{AC}/Calls/{sid}/UserDefinedMessageSubscriptions/{sid}.json",
        Calls,
        &[(Delete, Write)],
    ),
    row("/2010-04-01/Accounts/{AC}/Conferences.json", Calls, READ),
    row("/2010-04-01/Accounts/{AC}/Conferences/{sid}.json", Calls, LIST_WRITE),
    row(
        "/2010-04-01/Accounts/{AC}/Conferences/{}/Participants.json",
        Calls,
        &[(Get, Read), (Post, Costs(ParticipantCreate))],
    ),
    row("/2010-04-01/Accounts/{AC}/Conferences/{}/Participants/{}.json", Calls, ALL),
    row("/2010-04-01/Accounts/{AC}/Conferences/{}/Recordings.json", Calls, READ),
    row("/2010-04-01/Accounts/{AC}/Conferences/{}/Recordings/{}.json", Calls, ALL),
    row("/2010-04-01/Accounts/{AC}/ConnectApps.json", Settings, NEVER),
    row("/2010-04-01/Accounts/{AC}/ConnectApps/{sid}.json", Settings, NEVER),
    row("/2010-04-01/Accounts/{AC}/IncomingPhoneNumbers.json", Numbers, PURCHASE),
    row("/2010-04-01/Accounts/{AC}/IncomingPhoneNumbers/Local.json", Numbers, PURCHASE),
    row("/2010-04-01/Accounts/{AC}/IncomingPhoneNumbers/Mobile.json", Numbers, PURCHASE),
    row("/2010-04-01/Accounts/{AC}/IncomingPhoneNumbers/TollFree.json", Numbers, PURCHASE),
    row("/2010-04-01/Accounts/{AC}/IncomingPhoneNumbers/{sid}.json", Numbers, ALL),
    row(
        "/2010-04-01/Accounts/{AC}/IncomingPhoneNumbers/{sid}/AssignedAddOns.json",
        Numbers,
        &[(Get, Read), (Post, Unpriced)],
    ),
    row(
        "/2010-04-01/Accounts/{AC}/IncomingPhoneNumbers/{sid}/AssignedAddOns/{sid}.json",
        Numbers,
        READ_DELETE,
    ),
    row(
        "/2010-04-01/Accounts/{AC}/IncomingPhoneNumbers/{sid}/AssignedAddOns/{sid}/Extensions.json",
        Numbers,
        READ,
    ),
    row(
        "/2010-04-01/Accounts/{AC}/IncomingPhoneNumbers/{sid}/AssignedAddOns/{sid}/Extensions/{sid}.json",
        Numbers,
        READ,
    ),
    row("/2010-04-01/Accounts/{AC}/Keys.json", Settings, NEVER),
    row("/2010-04-01/Accounts/{AC}/Keys/{sid}.json", Settings, NEVER),
    row("/2010-04-01/Accounts/{AC}/Messages.json", Messages, &[(Get, Read), (Post, Costs(MessageCreate))]),
    row("/2010-04-01/Accounts/{AC}/Messages/{sid}.json", Messages, ALL),
    row("/2010-04-01/Accounts/{AC}/Messages/{sid}/Feedback.json", Messages, WRITE),
    row("/2010-04-01/Accounts/{AC}/Messages/{sid}/Media.json", Messages, READ),
    row("/2010-04-01/Accounts/{AC}/Messages/{sid}/Media/{sid}.json", Messages, READ_DELETE),
    // The file itself, which has no extension.
    row("/2010-04-01/Accounts/{AC}/Messages/{sid}/Media/{sid}", Messages, FILE),
    row("/2010-04-01/Accounts/{AC}/Notifications.json", Reads, READ),
    row("/2010-04-01/Accounts/{AC}/Notifications/{sid}.json", Reads, READ),
    row("/2010-04-01/Accounts/{AC}/OutgoingCallerIds.json", Numbers, &[(Get, Read), (Post, Unpriced)]),
    row("/2010-04-01/Accounts/{AC}/OutgoingCallerIds/{sid}.json", Numbers, ALL),
    row("/2010-04-01/Accounts/{AC}/Queues.json", Calls, LIST_WRITE),
    row("/2010-04-01/Accounts/{AC}/Queues/{sid}.json", Calls, ALL),
    row("/2010-04-01/Accounts/{AC}/Queues/{sid}/Members.json", Calls, READ),
    row("/2010-04-01/Accounts/{AC}/Queues/{sid}/Members/{}.json", Calls, LIST_WRITE),
    row("/2010-04-01/Accounts/{AC}/Recordings.json", Calls, READ),
    row("/2010-04-01/Accounts/{AC}/Recordings/{sid}.json", Calls, READ_DELETE),
    row("/2010-04-01/Accounts/{AC}/Recordings/{sid}", Calls, FILE),
    row("/2010-04-01/Accounts/{AC}/Recordings/{sid}.mp3", Calls, FILE),
    row("/2010-04-01/Accounts/{AC}/Recordings/{sid}.wav", Calls, FILE),
    row("/2010-04-01/Accounts/{AC}/Recordings/{sid}/AddOnResults.json", Calls, READ),
    row("/2010-04-01/Accounts/{AC}/Recordings/{sid}/AddOnResults/{sid}.json", Calls, READ_DELETE),
    row("/2010-04-01/Accounts/{AC}/Recordings/{sid}/AddOnResults/{sid}/Payloads.json", Calls, READ),
    row(
        "/2010-04-01/Accounts/{AC}/Recordings/{sid}/AddOnResults/{sid}/Payloads/{sid}.json",
        Calls,
        READ_DELETE,
    ),
    row(
        "/2010-04-01/Accounts/{AC}/Recordings/{sid}/AddOnResults/{sid}/Payloads/{sid}/Data.json",
        Calls,
        FILE,
    ),
    row("/2010-04-01/Accounts/{AC}/Recordings/{sid}/Transcriptions.json", Calls, READ),
    row("/2010-04-01/Accounts/{AC}/Recordings/{sid}/Transcriptions/{sid}.json", Calls, READ_DELETE),
    row("/2010-04-01/Accounts/{AC}/SMS/ShortCodes.json", Numbers, READ),
    row("/2010-04-01/Accounts/{AC}/SMS/ShortCodes/{sid}.json", Numbers, LIST_WRITE),
    // What sent messages before Messages.json did; no document has it any more, and Twilio may still take it.
    row(
        "/2010-04-01/Accounts/{AC}/SMS/Messages.json",
        Messages,
        &[(Get, Read), (Post, Costs(MessageCreate))],
    ),
    row("/2010-04-01/Accounts/{AC}/SMS/Messages/{sid}.json", Messages, READ),
    row("/2010-04-01/Accounts/{AC}/SigningKeys.json", Settings, NEVER),
    row("/2010-04-01/Accounts/{AC}/SigningKeys/{sid}.json", Settings, NEVER),
    row("/2010-04-01/Accounts/{AC}/SIP/CredentialLists.json", Settings, OPENS_SIP),
    row("/2010-04-01/Accounts/{AC}/SIP/CredentialLists/{sid}.json", Settings, OPENS_SIP),
    row("/2010-04-01/Accounts/{AC}/SIP/CredentialLists/{sid}/Credentials.json", Settings, OPENS_SIP),
    row("/2010-04-01/Accounts/{AC}/SIP/CredentialLists/{sid}/Credentials/{sid}.json", Settings, OPENS_SIP),
    row("/2010-04-01/Accounts/{AC}/SIP/Domains.json", Settings, LIST_WRITE),
    row("/2010-04-01/Accounts/{AC}/SIP/Domains/{sid}.json", Settings, ALL),
    row(
        "/2010-04-01/Accounts/{AC}/SIP/Domains/{sid}/Auth/Calls/CredentialListMappings.json",
        Settings,
        OPENS_SIP,
    ),
    row(
        "/2010-04-01/Accounts/{AC}/SIP/Domains/{sid}/Auth/Calls/CredentialListMappings/{sid}.json",
        Settings,
        READ_DELETE,
    ),
    row(
        "/2010-04-01/Accounts/{AC}/SIP/Domains/{sid}/Auth/Calls/IpAccessControlListMappings.json",
        Settings,
        OPENS_SIP,
    ),
    row(
        "/2010-04-01/Accounts/{AC}/SIP/Domains/{sid}/Auth/Calls/IpAccessControlListMappings/{sid}.json",
        Settings,
        READ_DELETE,
    ),
    row(
        "/2010-04-01/Accounts/{AC}/SIP/Domains/{sid}/Auth/Registrations/CredentialListMappings.json",
        Settings,
        OPENS_SIP,
    ),
    row(
        "/2010-04-01/Accounts/{AC}/SIP/Domains/{sid}/Auth/Registrations/CredentialListMappings/{sid}.json",
        Settings,
        READ_DELETE,
    ),
    row("/2010-04-01/Accounts/{AC}/SIP/Domains/{sid}/CredentialListMappings.json", Settings, OPENS_SIP),
    row(
        "/2010-04-01/Accounts/{AC}/SIP/Domains/{sid}/CredentialListMappings/{sid}.json",
        Settings,
        READ_DELETE,
    ),
    row("/2010-04-01/Accounts/{AC}/SIP/Domains/{sid}/IpAccessControlListMappings.json", Settings, OPENS_SIP),
    row(
        "/2010-04-01/Accounts/{AC}/SIP/Domains/{sid}/IpAccessControlListMappings/{sid}.json",
        Settings,
        READ_DELETE,
    ),
    row("/2010-04-01/Accounts/{AC}/SIP/IpAccessControlLists.json", Settings, OPENS_SIP),
    row("/2010-04-01/Accounts/{AC}/SIP/IpAccessControlLists/{sid}.json", Settings, OPENS_SIP),
    row("/2010-04-01/Accounts/{AC}/SIP/IpAccessControlLists/{sid}/IpAddresses.json", Settings, OPENS_SIP),
    row(
        "/2010-04-01/Accounts/{AC}/SIP/IpAccessControlLists/{sid}/IpAddresses/{sid}.json",
        Settings,
        OPENS_SIP,
    ),
    row("/2010-04-01/Accounts/{AC}/Tokens.json", Calls, &[(Post, Secret)]),
    row("/2010-04-01/Accounts/{AC}/Transcriptions.json", Calls, READ),
    row("/2010-04-01/Accounts/{AC}/Transcriptions/{sid}.json", Calls, READ_DELETE),
    row("/2010-04-01/Accounts/{AC}/Usage/Records.json", Reads, READ),
    row("/2010-04-01/Accounts/{AC}/Usage/Records/AllTime.json", Reads, READ),
    row("/2010-04-01/Accounts/{AC}/Usage/Records/Daily.json", Reads, READ),
    row("/2010-04-01/Accounts/{AC}/Usage/Records/LastMonth.json", Reads, READ),
    row("/2010-04-01/Accounts/{AC}/Usage/Records/Monthly.json", Reads, READ),
    row("/2010-04-01/Accounts/{AC}/Usage/Records/ThisMonth.json", Reads, READ),
    row("/2010-04-01/Accounts/{AC}/Usage/Records/Today.json", Reads, READ),
    row("/2010-04-01/Accounts/{AC}/Usage/Records/Yearly.json", Reads, READ),
    row("/2010-04-01/Accounts/{AC}/Usage/Records/Yesterday.json", Reads, READ),
    // Ringfence's own triggers are among them: who could change or delete them could blind it.
    row("/2010-04-01/Accounts/{AC}/Usage/Triggers.json", Settings, LIST_WRITE),
    row(
        "/2010-04-01/Accounts/{AC}/Usage/Triggers/{sid}.json",
        Settings,
        &[(Get, Read), (Post, Secret), (Delete, Secret)],
    ),
];
