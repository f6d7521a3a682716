//! What strangers try, and what comes of it.

use std::collections::BTreeMap;

use ringfence_second_factor::pumping::{Cap, Limits, STOPPED_AFTER};

use crate::kit::{Bank, Options, TO, countries, wrong};

#[tokio::test]
async fn the_code_of_another_application_is_no_code_here() {
    let bank = Bank::open().await;
    let (other, login) = bank.neighbour(&[]).await;
    let (started, code) = bank.started().await;
    let theirs = format!("/v2/Services/{}", other.sid);
    let sid = started["sid"].as_str().expect("a SID");
    let by_sid = [("VerificationSid", sid), ("Code", code.as_str())];
    let check = format!("{theirs}/VerificationCheck");
    assert_eq!(bank.ask_as(Some(&login), "POST", &check, &by_sid).await.error(), (404, 20404));
    let one = format!("{theirs}/Verifications/{sid}");
    assert_eq!(bank.ask_as(Some(&login), "GET", &one, &[]).await.error(), (404, 20404));
    assert_eq!(
        bank.ask_as(Some(&login), "POST", &one, &[("Status", "canceled")]).await.error(),
        (404, 20404)
    );
    // With the right credential at the wrong service, and the other way round.
    assert_eq!(bank.ask("POST", &check, &by_sid).await.error(), (404, 20404));
    let here = format!("{}/VerificationCheck", bank.service());
    assert_eq!(bank.ask_as(Some(&login), "POST", &here, &by_sid).await.error(), (404, 20404));
    // The same number at both: each has its own code.
    let form = [("To", TO), ("Channel", "sms")];
    bank.ask_as(Some(&login), "POST", &format!("{theirs}/Verifications"), &form).await;
    let theirs_checked = bank.ask_as(Some(&login), "POST", &check, &[("To", TO), ("Code", &code)]).await;
    assert_eq!(theirs_checked.body["valid"], false);
    assert_eq!(bank.check(&code).await.body["valid"], true);
}

#[tokio::test]
async fn of_right_codes_at_once_one_is_accepted_over_the_api() {
    let bank = Bank::open().await;
    let (_, code) = bank.started().await;
    let checks: Vec<_> = (0..32).map(|_| bank.check(&code)).collect();
    let mut accepted = 0;
    for answer in all(checks).await {
        match answer.status {
            200 => accepted += usize::from(answer.body["valid"] == true),
            _ => assert_eq!(answer.error(), (404, 20404)),
        }
    }
    assert_eq!(accepted, 1);
}

#[tokio::test]
async fn guessing_is_paused_across_verifications_and_the_owner_gets_in_after_the_pause() {
    let bank = Bank::open().await;
    let (_, code) = bank.started().await;
    for _ in 0..5 {
        bank.check(&wrong(&code)).await;
    }
    bank.advance(600).await;
    let (_, code) = bank.started().await;
    bank.check(&wrong(&code)).await;
    let paused = bank.check(&code).await;
    assert_eq!((paused.error(), paused.header("retry-after")), ((429, 60202), Some("60")));
    bank.advance(60).await;
    assert_eq!(bank.check(&code).await.body["valid"], true);
}

#[tokio::test]
async fn a_flood_of_starts_sends_one_text() {
    let bank = Bank::open().await;
    let starts: Vec<_> = (0..64).map(|_| bank.start(&[])).collect();
    let answers = all(starts).await;
    assert_eq!(answers.iter().filter(|answer| answer.status == 201).count(), 1);
    assert!(
        answers.iter().filter(|answer| answer.status != 201).all(|answer| answer.error() == (429, 20429))
    );
    bank.work().await;
    assert_eq!(bank.messages().await.len(), 1);
}

#[tokio::test]
async fn nothing_goes_to_countries_that_are_not_allowed_or_to_premium_numbers() {
    let bank = Bank::open().await;
    for to in
        ["+447700900123", "+14165550100", "+18765550100", "+19005550100", "+881612345678", "+4990012345678"]
    {
        for channel in ["sms", "call"] {
            let refused = bank.start(&[("To", to), ("Channel", channel)]).await;
            assert_eq!(refused.error(), (403, 60605), "{to}");
        }
    }
    assert_eq!(bank.work().await, (0, 0));
}

#[tokio::test]
async fn one_number_is_spared_by_all_applications_together() {
    let bank = Bank::open().await;
    let mut sent = 0;
    let mut refused = 0;
    for _ in 0..8 {
        let (other, login) = bank.neighbour(&[]).await;
        let path = format!("/v2/Services/{}/Verifications", other.sid);
        let answer = bank.ask_as(Some(&login), "POST", &path, &[("To", TO), ("Channel", "sms")]).await;
        if answer.status == 201 {
            sent += 1;
        } else {
            assert_eq!(answer.error(), (429, 60203));
            assert!(answer.header("retry-after").is_some());
            refused += 1;
        }
    }
    assert_eq!((sent, refused), (5, 3));
}

#[tokio::test]
async fn an_address_is_counted_where_the_application_tells_it() {
    let bank = Bank::open().await;
    let mut answers = BTreeMap::new();
    for index in 0..12 {
        let to = format!("+1415{:03}0100", 200 + index);
        let answer = bank.start(&[("To", &to), ("DeviceIp", "192.0.2.1")]).await;
        *answers.entry(answer.status).or_insert(0) += 1;
    }
    assert_eq!(answers, BTreeMap::from([(201, 10), (429, 2)]));
    assert_eq!(bank.start(&[("To", "+14159990100"), ("DeviceIp", "192.0.2.2")]).await.status, 201);
}

/// Pumping as it is done: many addresses, many numbers under a few prefixes of many countries, and nobody enters a code.
#[tokio::test]
async fn a_pumping_drill_stays_within_every_cap() {
    let limits = Limits {
        prefix: vec![Cap { most: 1_000, seconds: 3_600 }],
        country: vec![Cap { most: 180, seconds: 3_600 }],
        total: vec![Cap { most: 300, seconds: 3_600 }],
        ..Limits::shipped(countries(&["US", "DE"]))
    };
    let bank = Bank::with(Options { limits, ..Options::default() }).await;
    let (mut sent, mut codes) = (BTreeMap::<String, u32>::new(), BTreeMap::<u64, u32>::new());
    let prefixes = ["+1415555", "+1212555", "+4915112345", "+447700900", "+8801712345"];
    for round in 0..100_u32 {
        for (index, prefix) in prefixes.iter().enumerate() {
            let to = format!("{prefix}{:04}", round * 7);
            let address = format!("198.51.{}.{round}", index * 40);
            let answer = bank.start(&[("To", &to), ("DeviceIp", &address)]).await;
            if answer.status == 201 {
                *sent.entry((*prefix).to_owned()).or_default() += 1;
            } else {
                *codes.entry(answer.error().1).or_default() += 1;
            }
        }
    }
    assert!(sent.values().all(|sent| *sent <= STOPPED_AFTER), "{sent:?}");
    assert_eq!(sent.get("+4915112345"), Some(&STOPPED_AFTER), "{sent:?}");
    assert_eq!(sent["+1415555"] + sent["+1212555"], 90, "half of the country's cap: {sent:?}");
    assert_eq!(
        sent.keys().filter(|prefix| prefix.starts_with("+44") || prefix.starts_with("+880")).count(),
        0
    );
    assert!(sent.values().sum::<u32>() <= 150);
    assert_eq!(codes.keys().copied().collect::<Vec<_>>(), [20_429, 60_410, 60_605], "{codes:?}");
    let stopped = bank.store.stopped_prefixes(bank.now()).await.expect("prefixes");
    assert!(stopped.iter().any(|it| it.prefix == "+4915112345"), "{stopped:?}");
    let told = bank.store.waiting_effects(1_000).await.expect("effects");
    let told: Vec<_> = told.iter().filter(|effect| effect.kind == "notice").collect();
    assert_eq!(told.len(), stopped.len(), "people are told of each");
    assert_eq!(told[0].payload["kind"], "prefix-stopped");
    assert_eq!(told[0].payload["name"], "Owl Bank");
    bank.work().await;
    assert_eq!(bank.messages().await.len(), usize::try_from(sent.values().sum::<u32>()).expect("few"));
}

#[tokio::test]
async fn nothing_that_is_sent_can_make_it_fail() {
    let bank = Bank::open().await;
    let odd = ["", "\0", "%", "\u{202e}", "{}", "💥💥💥💥", "+", "VE", "' OR 1=1", "../..", "a\r\nb"];
    for text in odd {
        for name in [
            "To",
            "Channel",
            "CustomCode",
            "CustomFriendlyName",
            "RateLimits",
            "Locale",
            "Tags",
            "SendDigits",
        ] {
            bank.start(&[(name, text)]).await;
        }
        bank.check_with(&[("To", text), ("Code", text)]).await;
        bank.check_with(&[("VerificationSid", text), ("Code", text)]).await;
        let encoded: String = form_urlencoded::byte_serialize(text.as_bytes()).collect();
        for path in [
            format!("{}/Verifications/{encoded}", bank.service()),
            format!("/v2/Services/{encoded}"),
            format!("/v2/Attempts/{encoded}"),
            format!("/v2/Attempts?Country={encoded}&DateCreatedAfter={encoded}&Page={encoded}"),
            format!("{}/RateLimits/{encoded}/Buckets/{encoded}", bank.service()),
        ] {
            for method in ["GET", "POST", "DELETE"] {
                bank.ask(method, &path, &[("Status", text), ("Max", text), ("UniqueName", text)]).await;
            }
        }
    }
    let long = "9".repeat(100_000);
    bank.start(&[("To", &format!("+{long}"))]).await;
    bank.check_with(&[("To", TO), ("Code", &long)]).await;
}

/// Waits for all of them at once.
async fn all<F: Future>(futures: Vec<F>) -> Vec<F::Output> {
    let mut futures: Vec<_> = futures.into_iter().map(Box::pin).collect();
    let mut results: Vec<Option<F::Output>> = futures.iter().map(|_| None).collect();
    std::future::poll_fn(|context| {
        for (future, result) in futures.iter_mut().zip(&mut results) {
            if result.is_none()
                && let std::task::Poll::Ready(ready) = future.as_mut().poll(context)
            {
                *result = Some(ready);
            }
        }
        if results.iter().all(Option::is_some) {
            std::task::Poll::Ready(())
        } else {
            std::task::Poll::Pending
        }
    })
    .await;
    results.into_iter().flatten().collect()
}
