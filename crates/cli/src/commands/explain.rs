//! `ringfence explain`: why is this request refused, and what is to be changed?

use ringfence_signature::{Explanation, Hints, Scratch, Verdict, explain_with, verify};
use serde_json::json;

use super::verify::{Prepared, SubjectArguments, verdict_as_json, verdict_as_text};
use crate::exit::{Answer, Failure};

const EXAMPLES: &str = "\
Examples:
  ringfence explain --http request.txt --config ringfence.toml
  ringfence explain --http request.txt --public-url https://hooks.example.com
  ringfence explain --url 'http://hooks.example.com/sms' --param Body=Hi \\
      --signature 'p7dM…='

It signs altered forms of the request with the key until one fits the signature. It prints no secret and no \
signature. The exit code is 0 for a request that is admitted and 1 for one that is refused.";

#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Arguments {
    #[command(flatten)]
    subject: SubjectArguments,
    /// A path prefix that something in between may cut off or put in, such as /prod; repeat it for more
    #[arg(long, value_name = "PATH", help_heading = "Judgement")]
    prefix: Vec<String>,
    /// Print JSON
    #[arg(long, help_heading = "Output")]
    json: bool,
}

pub(crate) fn run(arguments: &Arguments) -> Result<Answer, Failure> {
    let subject = match arguments.subject.prepare(None)? {
        Prepared::Subject(subject) => subject,
        Prepared::Decided(decided) => return Ok(decided.answer(arguments.json)),
    };
    let (request, policy) = (subject.given.request(), subject.policy());
    let verdict = verify(&request, &subject.keyring, &policy, &mut Scratch::default());
    let hosts: Vec<&str> = subject.other_hosts.iter().map(String::as_str).collect();
    let prefixes: Vec<&str> = arguments.prefix.iter().map(String::as_str).collect();
    let hints = Hints { other_hosts: &hosts, other_prefixes: &prefixes };
    let explanation = explain_with(&request, &subject.keyring, &policy, &hints);

    let is_no = matches!(verdict, Verdict::Refuse(_));
    let output = if arguments.json {
        format!("{}\n", as_json(&verdict, &explanation))
    } else if is_no {
        explanation.to_string()
    } else {
        verdict_as_text(&verdict)
    };
    Ok(Answer { output: output.into_bytes(), notes: subject.notes, is_no, ..Answer::default() })
}

fn as_json(verdict: &Verdict, explanation: &Explanation) -> serde_json::Value {
    let causes: Vec<_> = explanation
        .findings
        .iter()
        .map(|found| {
            json!({
                "cause": found.cause.as_str(),
                "proven": found.proven,
                "problem": found.cause.problem(),
                "remedy": found.cause.remedy(),
                "detail": found.detail,
            })
        })
        .collect();
    let mut object = verdict_as_json(verdict);
    if let (Some(object), Verdict::Refuse(_)) = (object.as_object_mut(), verdict) {
        object.insert("causes".to_owned(), causes.into());
        object.insert("trials".to_owned(), explanation.trials.into());
    }
    object
}
