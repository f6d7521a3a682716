//! What a code says: the text that is sent, and the TwiML that is spoken, in the language of whoever gets it.
//!
//! A text is one segment, whatever the name and the language, so that a code costs one message and arrives as one: what
//! does not fit is left out, the warning first, then the name. Its last line is bound to the origin where one is known
//! (`@example.com #123456`, <https://wicg.github.io/sms-one-time-codes/>), so that a browser offers the code to that site
//! and to no other. The code stands in the text too, for people.

use ringfence_model::Segments;

/// What the text is about.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Wording {
    /// Who the code is from, as people know it.
    pub name: String,
    /// The language, `de` or `pt-BR`; English where there are no words for it.
    pub locale: String,
    /// The host that the code is entered at.
    pub host: Option<String>,
    /// Eleven characters by which Android hands the text to an application.
    pub app_hash: Option<String>,
    /// Whether the text says that the code is nobody else's business.
    pub warning: bool,
}

/// The longest host that every text has room for.
pub const HOST_MAX: usize = 36;

/// The text of a message: one segment.
pub fn text(wording: &Wording, code: &str) -> String {
    let words = words(&wording.locale);
    let last = match (&wording.app_hash, &wording.host) {
        (Some(hash), _) => format!("\n{hash}"),
        (None, Some(host)) => format!("\n@{host} #{code}"),
        (None, None) => String::new(),
    };
    // A name with a line break in it could write a last line of its own, bound to another host.
    let name = wording.name.replace(is_unfit, " ");
    let named = words.text.replace("{code}", code).replace("{name}", &name);
    let bare = words.bare.replace("{code}", code);
    let fits = |text: &String| Segments::of(text).count == 1;
    let warned = format!("{named}. {}", words.warning);
    let candidates = [
        (wording.warning && !wording.name.is_empty()).then(|| format!("{warned}{last}")),
        (!wording.name.is_empty()).then(|| format!("{named}{last}")),
        wording.warning.then(|| format!("{bare}. {}{last}", words.warning)),
        Some(format!("{bare}{last}")),
        // Bound to where it is entered, a bare code is worth more than a sentence around it.
        Some(format!("{code}{last}")),
        Some(bare.clone()),
    ];
    candidates.into_iter().flatten().find(fits).unwrap_or_else(|| code.to_owned())
}

/// Whether a letter of a name could begin a line of its own, or turn the direction in which what follows is read: a control
/// character, a separator of lines or paragraphs, or one that embeds, overrides or isolates a direction (UAX 9, 2).
pub fn is_unfit(letter: char) -> bool {
    letter.is_control() || matches!(letter, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Whether a letter shows nothing where it stands, so that two names look like one (`Default_Ignorable_Code_Point` of the
/// Unicode Character Database).
pub fn is_invisible(letter: char) -> bool {
    matches!(
        letter,
        '\u{ad}'
            | '\u{34f}'
            | '\u{61c}'
            | '\u{115f}'..='\u{1160}'
            | '\u{17b4}'..='\u{17b5}'
            | '\u{180b}'..='\u{180f}'
            | '\u{200b}'..='\u{200f}'
            | '\u{202a}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{3164}'
            | '\u{fe00}'..='\u{fe0f}'
            | '\u{feff}'
            | '\u{ffa0}'
            | '\u{fff0}'..='\u{fff8}'
            | '\u{1bca0}'..='\u{1bca3}'
            | '\u{1d173}'..='\u{1d17a}'
            | '\u{e0000}'..='\u{e0fff}'
    )
}

/// The TwiML of a call: the code, digit by digit, twice.
pub fn twiml(wording: &Wording, code: &str) -> String {
    let words = words(&wording.locale);
    let digits = code.chars().map(String::from).collect::<Vec<_>>().join(", ");
    let sentence = if wording.name.is_empty() {
        words.bare.replace("{code}", &digits)
    } else {
        words.text.replace("{code}", &digits).replace("{name}", &wording.name)
    };
    let say = format!("<Say language=\"{}\">{}</Say>", words.voice, escaped(&sentence));
    format!("<Response>{say}<Pause length=\"1\"/>{say}</Response>")
}

/// The TwiML of a call that says its code only to somebody who presses a key: a mailbox presses none, and neither does a
/// number that is called for the money (`Gather`, <https://www.twilio.com/docs/voice/twiml/gather>). `url` answers the
/// key with [`twiml`].
pub fn twiml_before_key(wording: &Wording, url: &str) -> String {
    let words = words(&wording.locale);
    let sentence = match wording.name.as_str() {
        "" => words.key.to_owned(),
        name => format!("{name}. {}", words.key),
    };
    let say = format!("<Say language=\"{}\">{}</Say>", words.voice, escaped(&sentence));
    let url = escaped(url);
    format!(
        "<Response><Gather numDigits=\"1\" finishOnKey=\"\" timeout=\"7\" method=\"POST\" action=\"{url}\">{say}<Pause length=\"3\"/>{say}</Gather>\
         <Hangup/></Response>"
    )
}

/// The TwiML for a key that is pressed when no code waits any more.
pub fn twiml_without_code() -> &'static str {
    "<Response><Hangup/></Response>"
}

/// The language that is used for a locale.
pub fn locale(wanted: &str) -> &'static str {
    words(wanted).locale
}

/// Text as XML 1.0 takes it: what markup is made of is escaped, and what no document may hold is left out.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\t' | '\n' | '\r' => escaped.push(' '),
            letter if letter.is_control() || matches!(letter, '\u{fffe}' | '\u{ffff}') => {}
            letter => escaped.push(letter),
        }
    }
    escaped
}

/// One language.
struct Words {
    locale: &'static str,
    /// As `Say` names it.
    voice: &'static str,
    /// With `{name}` and `{code}`.
    text: &'static str,
    /// With `{code}` alone.
    bare: &'static str,
    warning: &'static str,
    /// Spoken before the code.
    key: &'static str,
}

fn words(wanted: &str) -> &'static Words {
    let wanted = wanted.replace('_', "-");
    let language = wanted.split('-').next().unwrap_or_default();
    let of = |name: &str| WORDS.iter().find(|words| words.locale.eq_ignore_ascii_case(name));
    of(&wanted).or_else(|| of(language)).unwrap_or(&WORDS[0])
}

/// English first. Where a language has a word for the code that GSM-7 can write, it is that one: a text of 160 characters
/// has room for the name and the warning, one of 70 seldom.
const WORDS: [Words; 12] = [
    Words {
        locale: "en",
        voice: "en-US",
        text: "Your {name} verification code is: {code}",
        bare: "Your verification code is: {code}",
        warning: "Don't share it with anyone; we never ask for it",
        key: "Press any key to hear your code",
    },
    Words {
        locale: "de",
        voice: "de-DE",
        text: "Ihr {name} Bestätigungscode lautet: {code}",
        bare: "Ihr Bestätigungscode lautet: {code}",
        warning: "Geben Sie ihn niemandem weiter; wir fragen nie danach",
        key: "Drücken Sie eine beliebige Taste, um Ihren Code zu hören",
    },
    Words {
        locale: "fr",
        voice: "fr-FR",
        text: "Votre code {name} est : {code}",
        bare: "Votre code est : {code}",
        warning: "Ne le donnez à personne ; nous ne le demandons jamais",
        key: "Appuyez sur une touche pour entendre votre code",
    },
    Words {
        locale: "es",
        voice: "es-ES",
        text: "Tu clave de {name} es: {code}",
        bare: "Tu clave es: {code}",
        warning: "No la compartas con nadie; nunca te la pediremos",
        key: "Pulsa cualquier tecla para oír tu clave",
    },
    Words {
        locale: "it",
        voice: "it-IT",
        text: "Il tuo codice {name} è: {code}",
        bare: "Il tuo codice è: {code}",
        warning: "Non darlo a nessuno; non te lo chiederemo mai",
        key: "Premi un tasto qualsiasi per ascoltare il codice",
    },
    Words {
        locale: "pt",
        voice: "pt-PT",
        text: "O seu código {name} é: {code}",
        bare: "O seu código é: {code}",
        warning: "Não o partilhe",
        key: "Prima qualquer tecla para ouvir o seu código",
    },
    Words {
        locale: "pt-BR",
        voice: "pt-BR",
        text: "Seu código {name} é: {code}",
        bare: "Seu código é: {code}",
        warning: "Não o compartilhe",
        key: "Pressione qualquer tecla para ouvir o seu código",
    },
    Words {
        locale: "nl",
        voice: "nl-NL",
        text: "Je {name} verificatiecode is: {code}",
        bare: "Je verificatiecode is: {code}",
        warning: "Deel deze met niemand; wij vragen er nooit om",
        key: "Druk op een toets om je code te horen",
    },
    Words {
        locale: "sv",
        voice: "sv-SE",
        text: "Din kod för {name} är: {code}",
        bare: "Din kod är: {code}",
        warning: "Dela den inte med någon; vi frågar aldrig efter den",
        key: "Tryck på valfri knapp för att höra din kod",
    },
    Words {
        locale: "pl",
        voice: "pl-PL",
        text: "Kod {name} to: {code}",
        bare: "Kod to: {code}",
        warning: "Nie podawaj go nikomu; nigdy o niego nie pytamy",
        key: "Naciśnij dowolny klawisz, aby usłyszeć kod",
    },
    Words {
        locale: "ja",
        voice: "ja-JP",
        text: "{name} の認証コード: {code}",
        bare: "認証コード: {code}",
        warning: "誰にも教えないでください",
        key: "コードを聞くには、いずれかのキーを押してください",
    },
    Words {
        locale: "zh",
        voice: "zh-CN",
        text: "您的 {name} 验证码: {code}",
        bare: "您的验证码: {code}",
        warning: "请勿告知他人",
        key: "请按任意键收听验证码",
    },
];

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use ringfence_model::Encoding;

    use super::*;

    fn wording(name: &str, locale: &str) -> Wording {
        Wording { name: name.to_owned(), locale: locale.to_owned(), ..Wording::default() }
    }

    /// The code that a browser finds, by the algorithm of the draft: the last line, `@host #code`.
    fn bound_code(text: &str) -> Option<(&str, &str)> {
        let last = text.lines().last()?;
        let rest = last.strip_prefix('@')?;
        let (host, code) = rest.split_once(" #")?;
        Some((host, code))
    }

    #[test]
    fn a_name_cannot_break_out_of_what_is_spoken() {
        let twiml = twiml(&wording("A</Say><Hangup/>&\"\u{0}\u{b}B", "en"), "123456");
        assert!(!twiml.contains("<Hangup/>") && !twiml.contains('\u{0}'), "{twiml}");
        assert!(twiml.contains("A&lt;/Say&gt;&lt;Hangup/&gt;&amp;&quot;B"), "{twiml}");
    }

    #[test]
    fn a_code_is_spoken_digit_by_digit_twice_in_the_language_of_its_listener() {
        let twiml = twiml(&wording("Owl", "de-AT"), "123456");
        assert_eq!(
            twiml
                .matches("<Say language=\"de-DE\">Ihr Owl Bestätigungscode lautet: 1, 2, 3, 4, 5, 6</Say>")
                .count(),
            2
        );
    }

    #[test]
    fn before_a_key_is_pressed_no_digit_of_a_code_is_spoken_and_nobody_who_presses_none_is_waited_for() {
        for words in &WORDS {
            let twiml =
                twiml_before_key(&wording("A & \"O\"", words.locale), "https://h.example.com/key?send=1&x=2");
            assert!(twiml.contains("action=\"https://h.example.com/key?send=1&amp;x=2\""), "{twiml}");
            assert!(twiml.ends_with("</Gather><Hangup/></Response>"), "{twiml}");
            assert_eq!(twiml.matches(&*escaped(words.key)).count(), 2, "{twiml}");
            assert!(twiml.contains("A &amp; &quot;O&quot;. ") && twiml.len() < 4_000, "{twiml}");
        }
    }

    #[test]
    fn where_there_is_no_name_the_warning_stands_all_the_same() {
        let nameless = Wording { warning: true, ..wording("", "en") };
        assert_eq!(
            text(&nameless, "123456"),
            "Your verification code is: 123456. Don't share it with anyone; we never ask for it"
        );
        assert_eq!(
            text(&Wording { warning: false, ..nameless }, "123456"),
            "Your verification code is: 123456"
        );
        assert_eq!(text(&wording("Owl", "en"), "123456"), "Your Owl verification code is: 123456");
    }

    #[test]
    fn a_key_that_is_pressed_when_no_code_waits_ends_the_call() {
        assert_eq!(twiml_without_code(), "<Response><Hangup/></Response>");
    }

    #[test]
    fn a_language_without_words_is_english() {
        for (wanted, used) in
            [("", "en"), ("tlh", "en"), ("DE", "de"), ("pt_br", "pt-BR"), ("pt-PT", "pt"), ("zh-HK", "zh")]
        {
            assert_eq!(locale(wanted), used, "{wanted}");
        }
    }

    #[test]
    fn a_text_says_who_it_is_from_and_is_bound_to_where_it_is_entered() {
        let wording = Wording {
            host: Some("login.example.com".to_owned()),
            warning: true,
            ..wording("Owl Bank", "en")
        };
        let text = text(&wording, "123456");
        assert!(text.starts_with("Your Owl Bank verification code is: 123456. Don't share"), "{text}");
        assert_eq!(bound_code(&text), Some(("login.example.com", "123456")));
    }

    #[test]
    fn the_longest_code_is_bound_to_the_longest_host_in_every_language() {
        for words in &WORDS {
            let host = "h".repeat(HOST_MAX);
            let wording = Wording { host: Some(host.clone()), ..wording("Owl", words.locale) };
            let text = text(&wording, "0123456789");
            assert_eq!(bound_code(&text), Some((&*host, "0123456789")), "{text}");
            assert_eq!(Segments::of(&text).count, 1, "{text}");
        }
    }

    #[test]
    fn no_name_binds_a_code_to_a_host_of_its_own() {
        let text = text(&wording("Owl\n@evil.example #123456\r\n", "en"), "123456");
        assert_eq!(bound_code(&text), None, "{text}");
    }

    #[test]
    fn no_name_turns_the_direction_of_the_code_or_separates_lines() {
        let text = text(&wording("O\u{202e}w\u{2066}l\u{2028}\u{2029}x", "en"), "123456");
        assert_eq!(text, "Your O w l  x verification code is: 123456");
    }

    #[test]
    fn android_gets_its_hash_in_place_of_the_host() {
        let wording = Wording {
            host: Some("example.com".to_owned()),
            app_hash: Some("He42w354ol9".to_owned()),
            ..wording("Owl", "en")
        };
        assert!(text(&wording, "123456").ends_with("\nHe42w354ol9"));
    }

    proptest! {
        /// In every language, with every name: one segment, with the code in it, and bound where a host is known.
        #[test]
        fn a_text_is_always_one_segment_with_the_code_in_it(
            index in 0_usize..WORDS.len(),
            name in ".{0,40}",
            code in "[0-9]{4,10}",
            host in prop::option::of("[a-z0-9.-]{1,36}"),
            warning in any::<bool>(),
        ) {
            let wording = Wording {
                name,
                locale: WORDS[index].locale.to_owned(),
                host: host.clone(),
                app_hash: None,
                warning,
            };
            let text = text(&wording, &code);
            let segments = Segments::of(&text);
            prop_assert_eq!(segments.count, 1, "{}", text);
            let most = if segments.encoding == Encoding::Gsm7 { 160 } else { 70 };
            prop_assert!(segments.units <= most);
            prop_assert!(text.contains(&code));
            prop_assert_eq!(bound_code(&text), host.as_deref().map(|host| (host, code.as_str())), "{}", text);
        }

        #[test]
        fn what_is_spoken_fits_into_what_twilio_takes(name in ".{0,40}", code in "[0-9]{4,10}", index in 0_usize..WORDS.len()) {
            let twiml = twiml(&wording(&name, WORDS[index].locale), &code);
            prop_assert!(twiml.chars().count() <= 4_000);
            prop_assert_eq!(twiml.matches("<Say").count(), 2);
        }
    }
}
