//! Words of an nginx configuration (`ngx_conf_read_token` there): comments gone, quotes and backslashes read, lines counted.

/// A piece of the text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Token {
    /// Counted from 1.
    pub(super) line: usize,
    pub(super) kind: Kind,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Kind {
    /// A word, and whether it was written without quotes.
    Word(String),
    Open,
    Close,
    End,
}

/// A quote that nothing closes, on this line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct OpenQuote(pub(super) usize);

/// Cuts a text into tokens, at most as many as it has letters.
pub(super) fn tokens(text: &str) -> Result<Vec<Token>, OpenQuote> {
    let mut lexer = Lexer { rest: text.chars().peekable(), line: 1 };
    let mut tokens: Vec<Token> = Vec::new();
    // Whether the directive at hand has a block that is a program in another language.
    let mut is_program = false;
    let mut begins = true;
    while let Some(letter) = lexer.rest.peek().copied() {
        let line = lexer.line;
        let kind = match letter {
            letter if letter.is_whitespace() => {
                lexer.next();
                continue;
            }
            '#' => {
                lexer.skip_line();
                continue;
            }
            ';' => Kind::End,
            '{' => Kind::Open,
            '}' => Kind::Close,
            '"' | '\'' => Kind::Word(lexer.quoted().ok_or(OpenQuote(line))?),
            _ => Kind::Word(lexer.word()),
        };
        if let Kind::Word(word) = &kind {
            is_program = (begins && word.ends_with("_by_lua_block")) || (is_program && !begins);
            begins = false;
        } else {
            lexer.next();
            begins = true;
        }
        let is_open = kind == Kind::Open;
        tokens.push(Token { line, kind });
        if is_open && std::mem::take(&mut is_program) {
            lexer.skip_program();
            tokens.push(Token { line: lexer.line, kind: Kind::Close });
        }
    }
    Ok(tokens)
}

struct Lexer<'a> {
    rest: std::iter::Peekable<std::str::Chars<'a>>,
    line: usize,
}

impl Lexer<'_> {
    fn next(&mut self) -> Option<char> {
        let letter = self.rest.next();
        self.line += usize::from(letter == Some('\n'));
        letter
    }

    fn skip_line(&mut self) {
        while self.next().is_some_and(|letter| letter != '\n') {}
    }

    /// A word in quotes; none where they do not end.
    fn quoted(&mut self) -> Option<String> {
        let quote = self.next()?;
        let mut word = String::new();
        loop {
            match self.next()? {
                letter if letter == quote => return Some(word),
                '\\' => word.extend(self.escaped()?),
                letter => word.push(letter),
            }
        }
    }

    /// A bare word ends at white space, `;` or `{`, but for the brace of `${name}`.
    fn word(&mut self) -> String {
        let mut word = String::new();
        while let Some(letter) = self.rest.peek().copied() {
            let is_variable = letter == '{' && word.ends_with('$');
            if letter.is_whitespace() || letter == ';' || (letter == '{' && !is_variable) {
                break;
            }
            self.next();
            match letter {
                '\\' => word.extend(self.escaped().into_iter().flatten()),
                letter => word.push(letter),
            }
        }
        word
    }

    /// What a backslash and the next letter stand for; before most letters it stays.
    fn escaped(&mut self) -> Option<Vec<char>> {
        Some(match self.next()? {
            't' => vec!['\t'],
            'r' => vec!['\r'],
            'n' => vec!['\n'],
            letter @ ('"' | '\'' | '\\') => vec![letter],
            letter => vec!['\\', letter],
        })
    }

    /// Skips a block of Lua with the brace that closes it.
    fn skip_program(&mut self) {
        let mut depth = 1;
        while depth > 0 {
            match self.next() {
                Some('{') => depth += 1,
                Some('}') => depth -= 1,
                Some('-') if self.rest.peek() == Some(&'-') => {
                    self.next();
                    if !(self.rest.next_if_eq(&'[').is_some() && self.skip_long()) {
                        self.skip_line();
                    }
                }
                Some('[') => _ = self.skip_long(),
                Some(quote @ ('"' | '\'')) => {
                    while let Some(letter) = self.next() {
                        match letter {
                            '\\' => _ = self.next(),
                            letter if letter == quote || letter == '\n' => break,
                            _ => {}
                        }
                    }
                }
                Some(_) => {}
                None => return,
            }
        }
    }

    /// Skips what Lua writes between `[[` and `]]`, or with as many `=` in both, after the first bracket; tells whether it is
    /// that.
    fn skip_long(&mut self) -> bool {
        let mut ahead = self.rest.clone();
        let mut level = 0;
        while ahead.next_if_eq(&'=').is_some() {
            level += 1;
        }
        if ahead.next() != Some('[') {
            return false;
        }
        self.rest = ahead;
        let mut seen = None;
        while let Some(letter) = self.next() {
            seen = match (letter, seen) {
                (']', Some(equals)) if equals == level => break,
                (']', _) => Some(0),
                ('=', Some(equals)) => Some(equals + 1),
                _ => None,
            };
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<String> {
        let shown = |token: Token| match token.kind {
            Kind::Word(word) => word,
            Kind::Open => "{".to_owned(),
            Kind::Close => "}".to_owned(),
            Kind::End => ";".to_owned(),
        };
        tokens(text).unwrap().into_iter().map(shown).collect()
    }

    #[test]
    fn quotes_comments_variables_and_escapes_are_read_as_nginx_does() {
        assert_eq!(words("a 'b; {c}' \"d\\\"e\"; # f;\ng{h}"), ["a", "b; {c}", "d\"e", ";", "g", "{", "h}"]);
        assert_eq!(words("set $a ${b}c;"), ["set", "$a", "${b}c", ";"]);
        assert_eq!(words("a#b c\\;d \\.php$;"), ["a#b", "c\\;d", "\\.php$", ";"]);
        assert_eq!(tokens("a\n'b\n"), Err(OpenQuote(2)));
    }

    #[test]
    fn a_program_in_lua_is_no_configuration() {
        let text = "content_by_lua_block {\n if x then { '}' } end }\nlocation / { }";
        assert_eq!(words(text), ["content_by_lua_block", "{", "}", "location", "/", "{", "}"]);
        assert_eq!(tokens(text).unwrap()[3].line, 3);
        for program in [
            "if x then return end -- it's }",
            "--[[ }\n } ' ]] x = 1",
            "--[==[ ]] ]=] } ]==]",
            "x = [[ ' } ]] .. [=[ ]] } ]=]",
            "x = t[t[1]] -- [[ }",
            "--[x }",
            "x = a - -1 --",
        ] {
            let text = format!("access_by_lua_block {{ {program}\n}}\nlocation / {{ }}");
            assert_eq!(words(&text)[1..], ["{", "}", "location", "/", "{", "}"], "{program}");
            let lines = text.lines().count();
            assert_eq!(tokens(&text).unwrap()[3].line, lines, "{program}");
        }
        assert!(tokens("a_by_lua_block { [[ }").is_ok(), "what does not end is for whoever reads the tree");
    }
}
