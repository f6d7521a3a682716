//! The members of a flat JSON object as fields: just enough to see whether a form was turned into JSON.

/// Names and values of an object whose values are strings, numbers, `true`, `false` or `null` (as blank). `None` for
/// anything else, and for what is no JSON.
pub(super) fn flat_members(text: &[u8]) -> Option<Vec<(Vec<u8>, Vec<u8>)>> {
    let text = str::from_utf8(text).ok()?;
    let mut rest = text.trim().strip_prefix('{')?.strip_suffix('}')?.trim_start();
    let mut members = Vec::new();
    while !rest.is_empty() {
        let (name, after) = string(rest)?;
        let after = after.trim_start().strip_prefix(':')?.trim_start();
        let (value, after) = if after.starts_with('"') { string(after)? } else { scalar(after)? };
        members.push((name.into_bytes(), value.into_bytes()));
        rest = after.trim_start();
        rest = match rest.strip_prefix(',') {
            Some(next) => next.trim_start(),
            None if rest.is_empty() => rest,
            None => return None,
        };
    }
    Some(members)
}

fn scalar(text: &str) -> Option<(String, &str)> {
    let end = text.find(',').unwrap_or(text.len());
    let (word, rest) = text.split_at(end);
    let word = word.trim_end();
    let is_plain =
        !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte));
    is_plain.then(|| (if word == "null" { String::new() } else { word.to_owned() }, rest))
}

fn string(text: &str) -> Option<(String, &str)> {
    let mut units: Vec<u16> = Vec::new();
    let mut chars = text.strip_prefix('"')?.chars();
    loop {
        match chars.next()? {
            '"' => return Some((String::from_utf16(&units).ok()?, chars.as_str())),
            '\\' => match chars.next()? {
                'n' => units.push(10),
                'r' => units.push(13),
                't' => units.push(9),
                'b' => units.push(8),
                'f' => units.push(12),
                'u' => {
                    let digits = chars.as_str().get(..4)?;
                    units.push(u16::from_str_radix(digits, 16).ok()?);
                    chars = chars.as_str()[4..].chars();
                }
                other => units.extend(other.encode_utf16(&mut [0; 2]).iter()),
            },
            other => units.extend(other.encode_utf16(&mut [0; 2]).iter()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_flat_object_has_no_members() {
        for text in [
            r#"["a"]"#,
            r#"{"a":[1]}"#,
            r#"{"a":{"b":1}}"#,
            r#"{"a":}"#,
            r#"{"a":,"b":1}"#,
            r#"{"a":"1" "b":"2"}"#,
            r#"{"a" "1"}"#,
            r#"{"a":"\u00g9"}"#,
            r#"{"a":"1"#,
        ] {
            assert_eq!(flat_members(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn members_of_a_flat_object_are_read_with_their_escapes_and_null_as_blank() {
        let text = r#" {"a":"\u00e9\n\"" , "b" : -1.5e+3,"c":null ,"d":true} "#;
        let members = flat_members(text.as_bytes()).unwrap();
        let expected = [("a", "\u{e9}\n\""), ("b", "-1.5e+3"), ("c", ""), ("d", "true")];
        let expected = expected.map(|(name, value)| (name.as_bytes().to_vec(), value.as_bytes().to_vec()));
        assert_eq!(members, expected);
    }
}
