//! Directives, each with its words and its block, and with what it includes in the place of the `include`.

use std::rc::Rc;

use super::lex::{self, Kind, OpenQuote, Token};

/// Blocks in blocks: nginx itself has http, server, location, if and what stands in a location.
const DEPTH_MAX: usize = 32;
/// Files that include files.
const INCLUDES_MAX: usize = 8;
/// All files together.
const FILES_MAX: usize = 512;
pub(crate) const BYTES_MAX: usize = 8 << 20;

/// Where the text of included files comes from.
pub(crate) trait Sources {
    /// The name of the file that everything begins in.
    fn main(&self) -> String;
    /// The files that a pattern stands for, in their order.
    fn included(&self, pattern: &str) -> Included;
    /// The text of a file, of so many bytes at most.
    fn text(&self, name: &str, bytes_max: usize) -> Result<String, Unread>;
}

/// What an `include` stands for.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Included {
    pub(crate) files: Vec<String>,
    /// What is not there, or cannot be looked at.
    pub(crate) problems: Vec<String>,
}

/// Why there is no text of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Unread {
    TooLong,
    /// In words.
    Cannot(String),
}

/// A directive.
#[derive(Debug)]
pub(super) struct Directive {
    pub(super) place: Place,
    pub(super) name: String,
    pub(super) words: Vec<String>,
    /// What stands in its braces.
    pub(super) block: Option<Vec<Directive>>,
}

/// A line of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Place {
    file: Rc<str>,
    /// Counted from 1.
    line: usize,
}

/// Why a text is no configuration of nginx, or more than is read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Wrong {
    #[error("{0}: a quote is opened and not closed")]
    OpenQuote(Place),
    #[error("{0}: a closing brace has no opening one")]
    LooseClose(Place),
    #[error("{0}: a block is opened and not closed")]
    OpenBlock(Place),
    #[error("{0}: a directive does not end with a semicolon")]
    NoEnd(Place),
    #[error("{0}: a block or a semicolon has no directive before it")]
    NoName(Place),
    #[error("{0}: blocks are nested deeper than {DEPTH_MAX}")]
    TooDeep(Place),
    #[error("{0}: files include files deeper than {INCLUDES_MAX}; does one include itself?")]
    IncludesItself(Place),
    #[error("there are more than {FILES_MAX} files, or more than 8 MiB in them")]
    TooLarge,
    #[error("{0}")]
    Unreadable(String),
}

impl std::fmt::Display for Place {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{}:{}", self.file, self.line)
    }
}

impl Directive {
    /// Directives of this name in its block.
    pub(super) fn inside<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Directive> {
        self.block.iter().flatten().filter(move |it| it.name == name)
    }

    pub(super) fn word(&self, at: usize) -> &str {
        self.words.get(at).map_or("", String::as_str)
    }
}

/// What was read, and includes that could not be.
#[derive(Debug, Default)]
pub(super) struct Read {
    pub(super) directives: Vec<Directive>,
    pub(super) unread: Vec<(Place, String)>,
}

/// Reads the main file and all that it includes.
pub(super) fn read(sources: &dyn Sources) -> Result<Read, Wrong> {
    let mut reader = Reader { sources, files: 0, bytes: 0, unread: Vec::new() };
    let directives = reader.file(&sources.main(), 0)?.map_err(Wrong::Unreadable)?;
    Ok(Read { directives, unread: reader.unread })
}

struct Reader<'a> {
    sources: &'a dyn Sources,
    files: usize,
    bytes: usize,
    unread: Vec<(Place, String)>,
}

impl Reader<'_> {
    /// A file with all that it includes, or why it cannot be read. No more is read than what is left of all files together.
    fn file(&mut self, name: &str, includes: usize) -> Result<Result<Vec<Directive>, String>, Wrong> {
        self.files += 1;
        if self.files > FILES_MAX {
            return Err(Wrong::TooLarge);
        }
        let text = match self.sources.text(name, BYTES_MAX.saturating_sub(self.bytes)) {
            Ok(text) => text,
            Err(Unread::TooLong) => return Err(Wrong::TooLarge),
            Err(Unread::Cannot(why)) => return Ok(Err(why)),
        };
        self.bytes = self.bytes.saturating_add(text.len());
        // Some editors begin a file with a mark of its encoding, which is no part of a word.
        let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
        self.directives(name, text, includes).map(Ok)
    }

    fn directives(&mut self, name: &str, text: &str, includes: usize) -> Result<Vec<Directive>, Wrong> {
        let file: Rc<str> = Rc::from(name);
        let place = |line| Place { file: Rc::clone(&file), line };
        let tokens = lex::tokens(text).map_err(|OpenQuote(line)| Wrong::OpenQuote(place(line)))?;
        // What is open: the directive with its words, and what stood before it.
        let mut open: Vec<(Directive, Vec<Directive>)> = Vec::new();
        let mut here: Vec<Directive> = Vec::new();
        let mut words: Vec<String> = Vec::new();
        let mut begin = 1;
        for Token { line, kind } in tokens {
            match kind {
                Kind::Word(word) => {
                    if words.is_empty() {
                        begin = line;
                    }
                    words.push(word);
                }
                Kind::End => {
                    let directive =
                        directive(&mut words, place(begin)).ok_or_else(|| Wrong::NoName(place(line)))?;
                    if directive.name == "include" {
                        here.extend(self.included(&directive, includes)?);
                    } else {
                        here.push(directive);
                    }
                }
                Kind::Open => {
                    let directive =
                        directive(&mut words, place(begin)).ok_or_else(|| Wrong::NoName(place(line)))?;
                    if open.len() == DEPTH_MAX {
                        return Err(Wrong::TooDeep(place(line)));
                    }
                    open.push((directive, std::mem::take(&mut here)));
                }
                Kind::Close => {
                    if !words.is_empty() {
                        return Err(Wrong::NoEnd(place(begin)));
                    }
                    let (mut directive, before) = open.pop().ok_or_else(|| Wrong::LooseClose(place(line)))?;
                    directive.block = Some(std::mem::replace(&mut here, before));
                    here.push(directive);
                }
            }
        }
        if !words.is_empty() {
            return Err(Wrong::NoEnd(place(begin)));
        }
        match open.pop() {
            Some((directive, _)) => Err(Wrong::OpenBlock(directive.place)),
            None => Ok(here),
        }
    }

    fn included(&mut self, directive: &Directive, includes: usize) -> Result<Vec<Directive>, Wrong> {
        if includes == INCLUDES_MAX {
            return Err(Wrong::IncludesItself(directive.place.clone()));
        }
        let mut all = Vec::new();
        let Included { files, problems } = self.sources.included(directive.word(0));
        for problem in problems {
            self.unread.push((directive.place.clone(), problem));
        }
        for name in files {
            match self.file(&name, includes + 1)? {
                Ok(directives) => all.extend(directives),
                Err(why) => self.unread.push((directive.place.clone(), why)),
            }
        }
        Ok(all)
    }
}

fn directive(words: &mut Vec<String>, place: Place) -> Option<Directive> {
    let mut words = std::mem::take(words).into_iter();
    let name = words.next()?;
    Some(Directive { place, name, words: words.collect(), block: None })
}
