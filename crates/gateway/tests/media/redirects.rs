//! Where Twilio sends on to, and what is taken along.

use ringfence_testkit::{Answer, Upstream};

use crate::world::{PICTURE, World, media, picture};

/// A Twilio that sends everybody on to there.
async fn leading_to(location: String) -> Upstream {
    Upstream::start(move |_| {
        let location = location.clone();
        async move { Answer::new(307, "").header("location", &location) }
    })
    .await
}

#[tokio::test]
async fn no_credentials_go_along_to_where_a_redirect_leads() {
    for status in [301, 302, 303, 307, 308] {
        let storage = Upstream::start(|_| async { picture() }).await;
        let location = format!("http://{}/a/b?Signature=x", storage.address());
        let twilio = Upstream::start(move |_| {
            let location = location.clone();
            async move { Answer::new(status, "").header("location", &location) }
        });
        let world = World::before(twilio.await, |_| {}).await;
        let served = world.file(&media()).await;
        assert_eq!((served.status, served.body.as_slice()), (200, PICTURE), "{status}");
        let asked = storage.only_request();
        assert_eq!((asked.method.as_str(), asked.target.as_str()), ("GET", "/a/b?Signature=x"));
        assert_eq!(asked.header("authorization"), None);
        assert!(world.requests()[0].header("authorization").is_some(), "Twilio itself is asked with them");
    }
}

#[tokio::test]
async fn a_redirect_back_to_twilio_carries_none_either() {
    let twilio = Upstream::start(|request| async move {
        if request.target.starts_with("/elsewhere") {
            picture()
        } else {
            Answer::new(302, "").header("location", "/elsewhere")
        }
    });
    let world = World::before(twilio.await, |_| {}).await;
    assert_eq!(world.file(&media()).await.status, 200);
    assert_eq!(world.requests()[1].header("authorization"), None);
}

#[tokio::test]
async fn a_redirect_to_a_host_that_is_not_listed_or_into_this_network_is_not_followed() {
    for location in [
        "https://evil.example/a",
        "http://mms.twiliocdn.com/a",
        "https://10.0.0.1/a",
        "http://169.254.169.254/latest/meta-data/",
        "https://[fd00::1]/a",
        "https://user:password@mms.twiliocdn.com/a",
        "file:///etc/passwd",
        "//evil.example/a",
        "",
    ] {
        let world = World::before(leading_to(location.to_owned()).await, |_| {}).await;
        let answered = world.file(&media()).await;
        assert_eq!((answered.status, world.counted("redirect_refused").await), (502, 1), "{location}");
        assert!(
            !answered.text().contains("evil") && answered.text().contains("does not follow"),
            "{location}"
        );
        assert_eq!(world.requests().len(), 1, "{location}");
    }
    let world = World::before(Upstream::start(|_| async { Answer::new(302, "") }).await, |_| {}).await;
    assert_eq!(world.file(&media()).await.status, 502);
}

#[tokio::test]
async fn three_redirects_in_a_row_are_followed_and_no_fourth() {
    let steps = async |last: usize| {
        let twilio = Upstream::start(move |request| async move {
            let step: usize = request.target.strip_prefix("/step/").map_or(0, |step| step.parse().unwrap());
            if step == last {
                picture()
            } else {
                Answer::new(302, "").header("location", &format!("/step/{}", step + 1))
            }
        });
        World::before(twilio.await, |_| {}).await
    };
    assert_eq!(steps(3).await.file(&media()).await.status, 200);
    let world = steps(4).await;
    assert_eq!(world.file(&media()).await.status, 502);
    assert_eq!(world.requests().len(), 4);
}
