//! Every key of the example with every odd value, and the example cut off anywhere: an answer each time, which names the
//! line and shows no secret.

use super::pages::with_the_breaker;
use super::*;

/// Values of each type that TOML has, at and beyond what any key takes.
const ODD: &[&str] = &[
    "0",
    "-1",
    "9223372036854775807",
    "-9223372036854775808",
    "1e999",
    "nan",
    "true",
    "1979-05-27T07:32:00Z",
    r#""""#,
    r#"" ""#,
    r#""\u0000""#,
    r#""-1""#,
    r#""99999999999999999999999999999999""#,
    r#""18446744073709551616 GiB""#,
    r#""100000000000000000000h""#,
    r#""0.0000000000000000000001""#,
    r#""1,5""#,
    r#""101%""#,
    r#""é""#,
    r#""http://""#,
    r#""https://[::1""#,
    r#""https://user:pass@example.com:99999/a?b#c""#,
    r#""127.0.0.1:99999""#,
    r#""/../..//%2e""#,
    r#""+""#,
    "[]",
    r#"[""]"#,
    "[[1]]",
    r#"[1, "a"]"#,
    "{}",
    r#"{ env = "" }"#,
    r#"{ file = "" }"#,
    "{ env = 1, file = 2 }",
    r#"{ nobody = "knows" }"#,
];

/// The key of a line `key = value`, which may be a comment.
fn key(line: &str) -> Option<&str> {
    let (key, _) = line.trim_start_matches(['#', ' ']).split_once(" = ")?;
    let is_key = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"_.".contains(&byte);
    key.bytes().all(is_key).then_some(key)
}

#[track_caller]
fn answers(text: &str, about: &str) -> bool {
    let Err(error) = read(text) else { return true };
    let said = error.to_string();
    let lines = text.lines().count();
    for line in said.lines() {
        let (_, rest) = line.split_once("r.toml:").unwrap_or_else(|| panic!("{about}: {line}"));
        let number = rest.split(':').next().and_then(|number| number.parse::<usize>().ok());
        // What is not there at all stands on no line.
        let is_missing = ["there is no", "no [["].iter().any(|it| rest.trim_start().starts_with(it));
        assert!(number.map_or(is_missing, |number| (1..=lines + 1).contains(&number)), "{about}: {line}");
        assert!(!line.contains("0123456789abcdef"), "{about} shows a secret: {line}");
    }
    false
}

#[test]
fn an_odd_value_of_any_key_is_answered() {
    let whole = with_the_breaker();
    let lines: Vec<&str> = whole.lines().collect();
    let (mut keys, mut refused) = (0, 0);
    for (number, line) in lines.iter().enumerate() {
        let Some(key) = key(line) else { continue };
        keys += 1;
        for odd in ODD {
            let changed = format!("{key} = {odd}");
            let changed_at = |at| if at == number { changed.as_str() } else { lines[at] };
            let text: Vec<&str> = (0..lines.len()).map(changed_at).collect();
            refused += usize::from(!answers(&text.join("\n"), &changed));
        }
    }
    assert!(keys > 100, "only {keys} keys of the example were tried");
    assert!(refused > keys * ODD.len() * 3 / 4, "only {refused} were refused");
}

#[test]
fn a_file_that_ends_anywhere_is_answered() {
    let whole = with_the_breaker();
    for (end, _) in whole.char_indices().step_by(7) {
        answers(&whole[..end], "a file cut off");
    }
}
