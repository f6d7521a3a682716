//! What each metric is called, what it is split by, and what it means.
//!
//! The one place: metrics are registered by these rows, docs/metrics.md is written from them, and tests hold the
//! dashboard and the alert rules against them. A name never changes once it was released.

use prometheus_client::registry::{Metric, Registry, Unit};

/// One metric, as it is scraped.
#[derive(Debug, Clone, Copy)]
pub struct MetricDescription {
    /// Its name without the prefix and without what its kind adds.
    pub(crate) name: &'static str,
    /// How it moves.
    pub kind: MetricKind,
    /// What it is split by, in the order of the samples.
    pub labels: &'static [LabelDescription],
    /// What it counts; the line `HELP` of the exposition.
    pub help: &'static str,
    /// What an operator makes of it; empty where the help says all.
    pub advice: &'static str,
}

/// How a metric moves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MetricKind {
    /// Only up, until the process ends.
    Counter,
    /// Up and down.
    Gauge,
    /// A histogram of times, in seconds.
    Seconds,
}

/// One label of a metric.
#[derive(Debug, Clone, Copy)]
pub struct LabelDescription {
    /// Its name.
    pub name: &'static str,
    /// What stands in it.
    pub meaning: &'static str,
    /// The values that it can have; empty where `meaning` says it.
    pub values: &'static [&'static str],
}

impl MetricDescription {
    /// Its name as Prometheus has it: `ringfence_requests_total`. A histogram's samples add `_bucket`, `_sum` and `_count`.
    pub fn exposed(&self) -> String {
        match self.kind {
            MetricKind::Counter => format!("{PREFIX}_{}_total", self.name),
            MetricKind::Gauge => format!("{PREFIX}_{}", self.name),
            MetricKind::Seconds => format!("{PREFIX}_{}_seconds", self.name),
        }
    }

    /// Has `metric` scraped under this name.
    pub(crate) fn register(&self, registry: &mut Registry, metric: impl Metric) {
        match self.kind {
            MetricKind::Seconds => {
                registry.register_with_unit(self.name, self.help, Unit::Seconds, metric);
            }
            MetricKind::Counter | MetricKind::Gauge => registry.register(self.name, self.help, metric),
        }
    }
}

impl MetricKind {
    /// Its name in the exposition.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Seconds => "histogram",
        }
    }
}

/// What every name begins with.
pub(crate) const PREFIX: &str = "ringfence";

/// All metrics, in the order in which the page tells them.
pub const METRICS: &[MetricDescription] = &[
    REQUESTS,
    MATCHED,
    STRICT_FINDINGS,
    UPSTREAM_ERRORS,
    REQUEST_DURATION,
    CONNECTIONS,
    IN_FLIGHT,
    HANDSHAKES_FAILED,
    ACCOUNTS,
    TRIGGER_DELIVERIES,
    TWIML_ANSWERS,
    REPLAY_ANSWERED,
    REPLAY_REFUSED,
    REPLAY_ENTRIES,
    REPLAY_KEPT_BYTES,
    REPLAY_PUSHED_OUT,
    REPLAY_EXPIRED,
    EGRESS_REQUESTS,
    EGRESS_ADMISSION_DURATION,
    EGRESS_WOULD_REFUSE,
    EGRESS_IN_DOUBT,
    MEDIA_REQUESTS,
    MEDIA_LINKS,
    INSPECTOR_KEPT,
    INSPECTOR_DROPPED,
    RELOADS,
    RELOADS_REFUSED,
];

pub(crate) const REQUESTS: MetricDescription = MetricDescription {
    name: "requests",
    kind: MetricKind::Counter,
    labels: &[
        ROUTE,
        LabelDescription {
            name: "verdict",
            meaning: "what was said of the request",
            values: &["allow", "refuse"],
        },
        LabelDescription {
            name: "reason",
            meaning: "why it was refused, by the names of [running.md](running.md#reasons); empty with `allow`",
            values: &[],
        },
    ],
    help: "Requests by route, verdict and reason",
    advice: "`signature_mismatch` on a route where nothing is admitted any more: a token was rotated, or a URL was changed.",
};

pub(crate) const MATCHED: MetricDescription = MetricDescription {
    name: "matched",
    kind: MetricKind::Counter,
    labels: &[
        ROUTE,
        LabelDescription {
            name: "candidate",
            meaning: "the form: `port-removed`, `default-port-added` or `as-received`, with `+wss`, `+userinfo-removed` or \
                      `+userinfo-added`; never `as-received` alone, which is what nearly every request is",
            values: &[],
        },
    ],
    help: "Admitted requests by the form of the URL that was signed",
    advice: "Another form of the URL than the one that came was signed: your `public_url` may be off.",
};

pub(crate) const STRICT_FINDINGS: MetricDescription = MetricDescription {
    name: "strict_findings",
    kind: MetricKind::Counter,
    labels: &[
        ROUTE,
        LabelDescription {
            name: "finding",
            meaning: "what [strict mode](strict-mode.md) found",
            values: &[
                "wrong_shape",
                "repeated",
                "odd_name",
                "semicolon",
                "extended_name",
                "cut_name",
                "swallowed",
                "missing",
                "in_url",
            ],
        },
    ],
    help: "What strict mode found where it only reports",
    advice: "Look at these before you set `strict = \"refuse\"`.",
};

pub(crate) const UPSTREAM_ERRORS: MetricDescription = MetricDescription {
    name: "upstream_errors",
    kind: MetricKind::Counter,
    labels: &[
        ROUTE,
        LabelDescription {
            name: "error",
            meaning: "what happened",
            values: &[
                "lookup",
                "connect",
                "connect_timeout",
                "tls_expired",
                "tls_not_yet_valid",
                "tls_wrong_name",
                "tls_unknown_authority",
                "tls_bad_certificate",
                "tls_not_spoken",
                "tls_alert",
                "tls_closed",
                "tls_failed",
                "tls_timeout",
                "answer_timeout",
                "body_timeout",
                "closed_early",
                "cut_short",
                "malformed",
                "too_large",
            ],
        },
    ],
    help: "Upstreams that failed, by error",
    advice: "Your application was down (502) or slow (504). Twilio got no answer of it.",
};

pub(crate) const REQUEST_DURATION: MetricDescription = MetricDescription {
    name: "request_duration",
    kind: MetricKind::Seconds,
    labels: &[ROUTE],
    help: "From the request head to the answer head",
    advice: "Your application's time is in it. Twilio waits 15 s.",
};

pub(crate) const CONNECTIONS: MetricDescription = MetricDescription {
    name: "connections",
    kind: MetricKind::Gauge,
    labels: &[],
    help: "Connections open on the gate",
    advice: "At `limits.connections` further ones wait.",
};

pub(crate) const IN_FLIGHT: MetricDescription = MetricDescription {
    name: "in_flight",
    kind: MetricKind::Gauge,
    labels: &[],
    help: "Requests in work",
    advice: "Verified ones alone. At `limits.in_flight` further ones get a 503.",
};

pub(crate) const HANDSHAKES_FAILED: MetricDescription = MetricDescription {
    name: "handshakes_failed",
    kind: MetricKind::Counter,
    labels: &[],
    help: "TLS handshakes and PROXY protocol headers that failed",
    advice: "Scanners make some. If no webhook comes and this rises, look at the certificate.",
};

pub(crate) const ACCOUNTS: MetricDescription = MetricDescription {
    name: "accounts",
    kind: MetricKind::Gauge,
    labels: &[LabelDescription {
        name: "source",
        meaning: "`configured`: an `[[account]]`; `learnt`: from Twilio's list alone (`subaccounts = true`)",
        values: &["configured", "learnt"],
    }],
    help: "Accounts whose webhooks can be verified, by where their keys come from",
    advice: "",
};

pub(crate) const TRIGGER_DELIVERIES: MetricDescription = MetricDescription {
    name: "trigger_deliveries",
    kind: MetricKind::Counter,
    labels: &[LabelDescription {
        name: "outcome",
        meaning: "`new` and `repeat` were kept; the others were not, and Twilio was told so",
        values: &["new", "repeat", "malformed", "overloaded", "store_away"],
    }],
    help: "Verified usage triggers by what became of them",
    advice: "`store_away` and `overloaded` were answered with 503. The usage records tell what they would have.",
};

pub(crate) const TWIML_ANSWERS: MetricDescription = MetricDescription {
    name: "twiml_answers",
    kind: MetricKind::Counter,
    labels: &[
        ROUTE,
        LabelDescription {
            name: "outcome",
            meaning: "`free` costs nothing, `taken` was set aside now, `taken_before` by an earlier webhook; else why Twilio \
                      did not get it, by the names that `ringfence_egress_requests_total` has",
            values: &[],
        },
    ],
    help: "Answers of applications that were held to the limits, by what became of them",
    advice: "Only on routes with `twiml = \"limits\"`.",
};

pub(crate) const INSPECTOR_KEPT: MetricDescription = MetricDescription {
    name: "inspector_kept",
    kind: MetricKind::Counter,
    labels: &[],
    help: "Requests that were kept in the store",
    advice: "Only with `[inspector]`, see [inspector.md](inspector.md).",
};

pub(crate) const INSPECTOR_DROPPED: MetricDescription = MetricDescription {
    name: "inspector_dropped",
    kind: MetricKind::Counter,
    labels: &[LabelDescription {
        name: "why",
        meaning: "`line_full`: more came than the store takes, or it is away; `not_written`: it refused them, and the log \
                  says why; `stopped`: a stop did not wait longer",
        values: &["line_full", "not_written", "stopped"],
    }],
    help: "Requests that were to be kept in the store and were not",
    advice: "The requests themselves were answered as always.",
};

pub(crate) const REPLAY_ANSWERED: MetricDescription = MetricDescription {
    name: "replay_answered",
    kind: MetricKind::Counter,
    labels: &[],
    help: "Repeats that got the first one's answer",
    advice: "",
};

pub(crate) const REPLAY_REFUSED: MetricDescription = MetricDescription {
    name: "replay_refused",
    kind: MetricKind::Counter,
    labels: &[],
    help: "Repeats that were refused",
    advice: "On routes with `replay = \"refuse\"`. Twilio's own retries are among them.",
};

pub(crate) const REPLAY_ENTRIES: MetricDescription = MetricDescription {
    name: "replay_entries",
    kind: MetricKind::Gauge,
    labels: &[],
    help: "Requests remembered",
    advice: "",
};

pub(crate) const REPLAY_KEPT_BYTES: MetricDescription = MetricDescription {
    name: "replay_kept_bytes",
    kind: MetricKind::Gauge,
    labels: &[],
    help: "Memory held for answers to repeats",
    advice: "In bytes; at most `limits.replay_memory`.",
};

pub(crate) const REPLAY_PUSHED_OUT: MetricDescription = MetricDescription {
    name: "replay_pushed_out",
    kind: MetricKind::Counter,
    labels: &[],
    help: "Requests forgotten before their time because memory was full",
    advice: "If it rises, raise `limits.replay_memory`: what is forgotten early can be sent again.",
};

pub(crate) const REPLAY_EXPIRED: MetricDescription = MetricDescription {
    name: "replay_expired",
    kind: MetricKind::Counter,
    labels: &[],
    help: "Requests forgotten at the end of their time",
    advice: "",
};

pub(crate) const EGRESS_REQUESTS: MetricDescription = MetricDescription {
    name: "egress_requests",
    kind: MetricKind::Counter,
    labels: &[
        LabelDescription {
            name: "operation",
            meaning: "what was asked: of what has a price its own name, of the rest what it does; `none` where that is not \
                      known, `connect` for a tunnel that was refused",
            values: &[
                "messages.create",
                "calls.create",
                "calls.update",
                "participants.create",
                "verifications.create",
                "verification_checks.create",
                "lookups.fetch",
                "numbers.create",
                "read",
                "media",
                "write",
                "unpriced",
                "secret",
                "none",
                "connect",
            ],
        },
        LabelDescription {
            name: "outcome",
            meaning: "what Twilio answered; else why it was not asked, or what it said could not be passed on. \
                      [egress.md](egress.md#errors) explains the refusals by their codes",
            values: &[
                "answered_2xx",
                "answered_3xx",
                "answered_4xx",
                "answered_5xx",
                "bad_request",
                "unknown_host",
                "no_tunnel",
                "in_the_clear",
                "credentials_in_url",
                "unauthorized",
                "other_account",
                "which_account",
                "no_token",
                "other_operation",
                "other_destination",
                "other_sender",
                "secret",
                "unknown_operation",
                "unpriced",
                "other_spelling",
                "foreign_twiml",
                "unknown_twiml",
                "unreadable_twiml",
                "field",
                "unknown_price",
                "does_not_fit",
                "tripped",
                "open_only",
                "not_read_back",
                "store_away",
                "not_ready",
                "body_too_large",
                "body_timeout",
                "body_broken",
                "content_type",
                "overloaded",
                "unreachable",
                "in_doubt",
                "unusable_answer",
            ],
        },
    ],
    help: "Requests to Twilio by operation and by what became of them",
    advice: "`does_not_fit` and `tripped`: a limit stopped somebody. `not_ready`, `not_read_back` and `store_away`: nobody \
             can send.",
};

pub(crate) const EGRESS_ADMISSION_DURATION: MetricDescription = MetricDescription {
    name: "egress_admission_duration",
    kind: MetricKind::Seconds,
    labels: &[],
    help: "How long the store took to set a price aside, or to refuse it",
    advice: "By so much each message waits longer.",
};

pub(crate) const EGRESS_WOULD_REFUSE: MetricDescription = MetricDescription {
    name: "egress_would_refuse",
    kind: MetricKind::Counter,
    labels: &[LabelDescription { name: "limit", meaning: "the limit's `name`", values: &[] }],
    help: "Requests that a limit which only watches would have refused",
    advice: "`ringfence report` tells more, and does not forget at a restart.",
};

pub(crate) const EGRESS_IN_DOUBT: MetricDescription = MetricDescription {
    name: "egress_in_doubt",
    kind: MetricKind::Counter,
    labels: &[],
    help: "Requests of which nobody knows whether Twilio carried them out",
    advice: "They count as spent until they are found at Twilio.",
};

pub(crate) const MEDIA_REQUESTS: MetricDescription = MetricDescription {
    name: "media_requests",
    kind: MetricKind::Counter,
    labels: &[LabelDescription {
        name: "outcome",
        meaning: "`served`, or why not; [media.md](media.md#why-not) explains each",
        values: &[
            "served",
            "bad_request",
            "method_not_allowed",
            "in_the_clear",
            "no_file_path",
            "no_proof",
            "link_malformed",
            "link_forged",
            "link_expired",
            "sign_in_forged",
            "other_account",
            "unknown_account",
            "overloaded",
            "store_away",
            "not_ready",
            "not_found",
            "throttled",
            "failed",
            "credentials_refused",
            "unreachable",
            "timed_out",
            "redirect_refused",
            "too_large",
            "unusable_answer",
        ],
    }],
    help: "Requests for files of messages and recordings",
    advice: "`link_forged`: somebody tries links, or all were ended. `credentials_refused` and `redirect_refused` are for you to \
             mend.",
};

pub(crate) const MEDIA_LINKS: MetricDescription = MetricDescription {
    name: "media_links",
    kind: MetricKind::Counter,
    labels: &[LabelDescription {
        name: "outcome",
        meaning: "`made`, or why not",
        values: &[
            "made",
            "bad_request",
            "method_not_allowed",
            "unauthorized",
            "out_of_scope",
            "unknown_account",
            "overloaded",
            "store_away",
        ],
    }],
    help: "Links to files that applications asked for",
    advice: "",
};

pub(crate) const RELOADS: MetricDescription = MetricDescription {
    name: "reloads",
    kind: MetricKind::Counter,
    labels: &[],
    help: "Configurations that took effect after the first",
    advice: "",
};

pub(crate) const RELOADS_REFUSED: MetricDescription = MetricDescription {
    name: "reloads_refused",
    kind: MetricKind::Counter,
    labels: &[],
    help: "Configurations that were wrong and changed nothing",
    advice: "The log says what to change. The old configuration is in force.",
};

const ROUTE: LabelDescription = LabelDescription {
    name: "route",
    meaning: "host and path prefix as configured; empty where no route was found",
    values: &[],
};
