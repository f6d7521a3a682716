//! What a code says when it is written and when it is spoken, in some languages.
//!
//! Twilio picks a language by the number's country. The sandbox speaks English unless `Locale` says otherwise, so
//! that a test reads the same text whatever number it uses.

/// The language that is used for a locale: itself where there are words for it, English otherwise.
pub(super) fn locale(wanted: Option<&str>) -> &'static str {
    let wanted = wanted.unwrap_or_default();
    let language = wanted.split(['-', '_']).next().unwrap_or_default();
    let exact = WORDS.iter().find(|words| words.locale.eq_ignore_ascii_case(wanted));
    let close = || WORDS.iter().find(|words| words.locale.eq_ignore_ascii_case(language));
    exact.or_else(close).map_or("en", |words| words.locale)
}

/// The text of a message.
pub(super) fn written(locale: &str, name: &str, code: &str, warn: bool, app_hash: Option<&str>) -> String {
    let words = words(locale);
    let mut text = filled(words.text, name, code);
    if warn {
        text.push_str(". ");
        text.push_str(words.warning);
    }
    match app_hash {
        Some(hash) => format!("<#> {text}\n{hash}"),
        None => text,
    }
}

/// The TwiML of a call: the code digit by digit, twice. Where a key press is demanded nothing is told to a machine:
/// without one the call ends.
pub(super) fn spoken(locale: &str, name: &str, code: &str, key_first: bool) -> String {
    let words = words(locale);
    let digits = code.chars().map(String::from).collect::<Vec<_>>().join(", ");
    let say = |text: &str| format!("<Say language=\"{}\">{}</Say>", words.voice, escaped(text));
    let code = filled(words.text, name, &digits);
    let told = format!("{}<Pause length=\"1\"/>{}", say(&code), say(&code));
    if !key_first {
        return format!("<Response>{told}</Response>");
    }
    // What follows the Gather is carried out when a key was pressed; a Gather without one ends the call.
    let key = say(words.press_a_key);
    format!(
        "<Response><Gather numDigits=\"1\" timeout=\"10\" input=\"dtmf\" actionOnEmptyResult=\"false\">{key}</Gather>\
         {told}</Response>"
    )
}

/// One language.
struct Words {
    locale: &'static str,
    /// As `Say` names it.
    voice: &'static str,
    /// With `{name}` and `{code}`.
    text: &'static str,
    warning: &'static str,
    press_a_key: &'static str,
}

fn words(locale: &str) -> &'static Words {
    WORDS.iter().find(|words| words.locale == locale).unwrap_or(&WORDS[0])
}

fn filled(text: &str, name: &str, code: &str) -> String {
    text.replace("{code}", code).replace("{name}", name)
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// English first.
const WORDS: [Words; 12] = [
    Words {
        locale: "en",
        voice: "en-US",
        text: "Your {name} verification code is: {code}",
        warning: "Don't share this code with anyone; our employees will never ask for the code",
        press_a_key: "Please press any key to hear your verification code.",
    },
    Words {
        locale: "de",
        voice: "de-DE",
        text: "Ihr {name} Bestätigungscode lautet: {code}",
        warning: "Geben Sie diesen Code nicht weiter; unsere Mitarbeiter fragen nie danach",
        press_a_key: "Bitte drücken Sie eine Taste, um Ihren Code zu hören.",
    },
    Words {
        locale: "fr",
        voice: "fr-FR",
        text: "Votre code de vérification {name} est : {code}",
        warning: "Ne partagez ce code avec personne ; nos employés ne le demanderont jamais",
        press_a_key: "Appuyez sur une touche pour entendre votre code.",
    },
    Words {
        locale: "es",
        voice: "es-ES",
        text: "Tu código de verificación para {name} es: {code}",
        warning: "No compartas este código con nadie; nuestros empleados nunca lo pedirán",
        press_a_key: "Pulsa una tecla para escuchar tu código.",
    },
    Words {
        locale: "it",
        voice: "it-IT",
        text: "Il tuo codice di verifica {name} è: {code}",
        warning: "Non condividere questo codice con nessuno; i nostri dipendenti non lo chiederanno mai",
        press_a_key: "Premi un tasto per ascoltare il tuo codice.",
    },
    Words {
        locale: "pt",
        voice: "pt-PT",
        text: "O seu código de verificação {name} é: {code}",
        warning: "Não partilhe este código com ninguém; os nossos funcionários nunca o pedirão",
        press_a_key: "Prima uma tecla para ouvir o seu código.",
    },
    Words {
        locale: "pt-BR",
        voice: "pt-BR",
        text: "Seu código de verificação {name} é: {code}",
        warning: "Não compartilhe este código com ninguém; nossos funcionários nunca o pedirão",
        press_a_key: "Pressione uma tecla para ouvir seu código.",
    },
    Words {
        locale: "nl",
        voice: "nl-NL",
        text: "Je {name} verificatiecode is: {code}",
        warning: "Deel deze code met niemand; onze medewerkers vragen er nooit om",
        press_a_key: "Druk op een toets om je code te horen.",
    },
    Words {
        locale: "sv",
        voice: "sv-SE",
        text: "Din verifieringskod för {name} är: {code}",
        warning: "Dela inte koden med någon; våra anställda frågar aldrig efter den",
        press_a_key: "Tryck på en tangent för att höra din kod.",
    },
    Words {
        locale: "pl",
        voice: "pl-PL",
        text: "Twój kod weryfikacyjny {name} to: {code}",
        warning: "Nie udostępniaj nikomu tego kodu; nasi pracownicy nigdy o niego nie zapytają",
        press_a_key: "Naciśnij dowolny klawisz, aby usłyszeć kod.",
    },
    Words {
        locale: "ja",
        voice: "ja-JP",
        text: "{name} の認証コードは {code} です",
        warning: "このコードを誰にも教えないでください",
        press_a_key: "コードを聞くには、いずれかのキーを押してください。",
    },
    Words {
        locale: "zh",
        voice: "zh-CN",
        text: "您的 {name} 验证码是:{code}",
        warning: "请勿将此验证码告知任何人",
        press_a_key: "请按任意键收听验证码。",
    },
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_says_who_it_is_from_and_what_the_code_is() {
        assert_eq!(
            written("en", "Owl Bank", "123456", false, None),
            "Your Owl Bank verification code is: 123456"
        );
        let warned = written("en", "Owl", "1234", true, Some("He42w354ol9"));
        assert!(warned.starts_with("<#> Your Owl verification code is: 1234. Don't share"), "{warned}");
        assert!(warned.ends_with("\nHe42w354ol9"));
    }

    #[test]
    fn a_locale_that_is_not_known_is_english() {
        for (wanted, used) in [
            (None, "en"),
            (Some("tlh"), "en"),
            (Some("de"), "de"),
            (Some("DE-at"), "de"),
            (Some("pt-br"), "pt-BR"),
            (Some("pt_PT"), "pt"),
        ] {
            assert_eq!(locale(wanted), used, "{wanted:?}");
        }
    }

    #[test]
    fn a_call_spells_the_code_and_no_name_breaks_out_of_it() {
        let twiml = spoken("en", "A<Hangup/>&B", "1234", false);
        assert!(twiml.contains("1, 2, 3, 4") && twiml.contains("A&lt;Hangup/&gt;&amp;B"), "{twiml}");
        let first = spoken("en", "Owl", "1234", true);
        let gather = first.find("</Gather>").unwrap();
        assert!(!first[..gather].contains('1') || !first[..gather].contains("1, 2"), "{first}");
    }
}
