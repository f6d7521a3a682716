//! What Twilio signs: the URL, then each name and value of a form, in one piece of memory.
//!
//! The one idea: only what comes before the path differs between the forms of a URL. So the path, the query and
//! the fields are written once, and each candidate's beginning is written backwards from where the path starts.

use std::collections::BTreeSet;

use crate::{
    Candidate, ReceivedUrl, fields,
    form::{FormBuffer, SLACK, grow},
};

/// The string to sign, in a buffer that is used again.
#[derive(Default)]
pub(crate) struct CanonicalString {
    bytes: Vec<u8>,
    target_start: usize,
    end: usize,
}

impl CanonicalString {
    /// Writes what all candidates share, and says how many bytes the form added.
    pub(crate) fn begin(&mut self, url: &ReceivedUrl<'_>, form: Option<&FormBuffer>) -> usize {
        let target = url.target();
        let form_start = url.prefix_len_max() + target.len();
        let form_len_max = form.map_or(0, FormBuffer::decoded_len);
        grow(&mut self.bytes, form_start + form_len_max + SLACK);
        self.target_start = url.prefix_len_max();
        self.bytes[self.target_start..form_start].copy_from_slice(target);
        self.end = form.map_or(form_start, |form| form.write_signed(&mut self.bytes, form_start));
        self.end - form_start
    }

    /// The whole string for one form of the URL.
    pub(crate) fn of(&mut self, url: &ReceivedUrl<'_>, candidate: Candidate) -> &[u8] {
        let mut start = self.target_start;
        for piece in url.prefix(candidate).into_iter().rev() {
            let end = start;
            start -= piece.len();
            self.bytes[start..end].copy_from_slice(piece);
        }
        &self.bytes[start..self.end]
    }
}

/// The same string made the plain way, for signing and for trials off the hot path. `form` is the raw form body,
/// empty where there is none.
pub(crate) fn canonical_string(url: &ReceivedUrl<'_>, candidate: Candidate, form: &[u8]) -> Vec<u8> {
    let mut canonical = url.prefix(candidate).concat();
    canonical.extend_from_slice(url.target());
    for (name, value) in fields(form).collect::<BTreeSet<_>>() {
        canonical.extend_from_slice(&name);
        canonical.extend_from_slice(&value);
    }
    canonical
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_buffer_is_as_long_as_the_longest_form_of_the_url_and_the_body_need() {
        let url = ReceivedUrl::parse(b"https://h.example/sms?a=1");
        let mut form = FormBuffer::default();
        form.read(b"Body=hello&Body=hello").unwrap();
        let mut canonical = CanonicalString::default();
        assert_eq!(canonical.begin(&url, Some(&form)), "Bodyhello".len());
        let needed = url.prefix_len_max() + "/sms?a=1".len() + 2 * "Bodyhello".len() + SLACK;
        assert_eq!(canonical.bytes.len(), needed);
        assert_eq!(canonical.of(&url, Candidate::AS_RECEIVED), b"https://h.example/sms?a=1Bodyhello");
    }
}
