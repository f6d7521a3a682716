//! Smart encoding: characters that look like one of GSM-7 become that one, so that a typographic quote does not
//! halve what fits into a segment. <https://www.twilio.com/docs/messaging/services#smart-encoding>.

/// The text with such characters replaced.
pub(super) fn encode(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for char in text.chars() {
        match replacement(char) {
            Some(replacement) => encoded.push_str(replacement),
            None => encoded.push(char),
        }
    }
    encoded
}

fn replacement(char: char) -> Option<&'static str> {
    Some(match char {
        '\u{ab}' | '\u{bb}' | '\u{201c}' | '\u{201d}' | '\u{201e}' | '\u{201f}' | '\u{2033}' | '\u{2036}'
        | '\u{ff02}' | '\u{2ba}' | '\u{2dd}' => "\"",
        '\u{2018}' | '\u{2019}' | '\u{201a}' | '\u{201b}' | '\u{2032}' | '\u{2035}' | '\u{2b9}'
        | '\u{2bb}' | '\u{2bc}' | '\u{2c8}' | '\u{60}' | '\u{b4}' | '\u{ff07}' => "'",
        '\u{f7}' | '\u{2044}' | '\u{2215}' => "/",
        '\u{bc}' => "1/4",
        '\u{bd}' => "1/2",
        '\u{be}' => "3/4",
        '\u{2010}'..='\u{2015}' | '\u{2043}' | '\u{2212}' | '\u{ad}' => "-",
        '\u{2026}' => "...",
        '\u{2022}' | '\u{b7}' => "*",
        '\u{2039}' => "<",
        '\u{203a}' => ">",
        '\u{a0}' | '\u{2000}'..='\u{200a}' | '\u{202f}' | '\u{205f}' | '\u{3000}' | '\t' => " ",
        '\u{200b}'..='\u{200d}' | '\u{2060}' | '\u{feff}' => "",
        '\u{203c}' => "!!",
        '\u{2028}' | '\u{2029}' => "\n",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use ringfence_model::{Encoding, Segments};

    use super::*;

    #[test]
    fn typography_becomes_gsm7_and_other_scripts_stay() {
        let text = encode("\u{201c}It\u{2019}s\u{201d}\u{a0}\u{2013} well\u{2026}");
        assert_eq!(text, "\"It's\" - well...");
        assert_eq!(Segments::of(&text).encoding, Encoding::Gsm7);
        assert_eq!(encode("я🚀é"), "я🚀é");
    }
}
