use super::*;

#[test]
fn twilios_windows_begin_at_midnight_in_gmt() {
    let now = at("2028-02-29T23:59:59.999Z");
    let cases = [
        (Window::Minute, "2028-02-29T23:59:00Z", "2028-03-01T00:00:00Z"),
        (Window::Hour, "2028-02-29T23:00:00Z", "2028-03-01T00:00:00Z"),
        (Window::Daily, "2028-02-29T00:00:00Z", "2028-03-01T00:00:00Z"),
        (Window::Monthly, "2028-02-01T00:00:00Z", "2028-03-01T00:00:00Z"),
        (Window::Yearly, "2028-01-01T00:00:00Z", "2029-01-01T00:00:00Z"),
    ];
    for (window, start, end) in cases {
        let period = window.period(now);
        assert_eq!((period.start, period.end), (at(start), Some(at(end))), "{window:?}");
        // The last moment is in it, the next one is not.
        assert_eq!(window.period(at(end)).start, at(end), "{window:?}");
    }
    assert_eq!(Window::Alltime.period(now).end, None);
}

#[test]
fn the_ends_of_time_have_windows_too() {
    for window in [Window::Minute, Window::Daily, Window::Monthly, Window::Yearly, Window::Alltime] {
        for now in [Timestamp::MIN, Timestamp::MAX] {
            let period = window.period(now);
            assert!(period.end.is_none_or(|end| end > period.start), "{window:?} {now}");
        }
    }
}
