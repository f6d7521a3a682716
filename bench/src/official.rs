//! The same request in Twilio's own Node and Python libraries, as multiples of `ringfence_signature::verify`.
//!
//! Each library runs in its own process, after ours and not beside it; `bench/prepare` installs them.

use crate::Outcome;
use crate::arguments::Arguments;
use crate::gate::median;
use crate::webhook::{PUBLIC_URL, TOKEN};
use crate::{process, verify};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// `official [--rounds N] [--seconds S] [--python PATH]`.
pub(crate) fn run(arguments: &Arguments) -> Outcome {
    let rounds: usize = arguments.number("rounds", 3)?;
    let seconds: f64 = arguments.number("seconds", 1.0)?;
    let requests = verify::Requests::new()?;
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("request.json");
    let (genuine, forged) = (&requests.genuine[0], &requests.forged[0]);
    let request = serde_json::json!({
        "token": TOKEN,
        "url": format!("{PUBLIC_URL}{}", genuine.target),
        "body": String::from_utf8_lossy(&genuine.body),
        "genuine": String::from_utf8_lossy(&genuine.signature),
        "forged": String::from_utf8_lossy(&forged.signature),
    });
    fs::write(&file, request.to_string())?;

    let libraries = libraries(arguments);
    let mut ours: Vec<(f64, f64)> = Vec::new();
    let mut theirs: Vec<BTreeMap<String, Vec<f64>>> = libraries.iter().map(|_| BTreeMap::new()).collect();
    for round in 1..=rounds {
        eprintln!("round {round}/{rounds}");
        ours.push(verify::genuine_and_forged(&requests)?);
        for (library, figures) in libraries.iter().zip(&mut theirs) {
            let Ok((program, script)) = &library.found else { continue };
            for (name, nanos) in ask(program, script, &file, seconds)? {
                figures.entry(name).or_default().push(nanos);
            }
        }
    }

    let ours_genuine = median(ours.iter().map(|pair| pair.0));
    let ours_forged = median(ours.iter().map(|pair| pair.1));
    println!("| library | what | ns a request | × Ringfence |\n| --- | --- | --- | --- |");
    println!("| Ringfence | parse and verify genuine | {ours_genuine:.0} | 1 |");
    println!("| Ringfence | parse and verify forged | {ours_forged:.0} | 1 |");
    for (library, figures) in libraries.iter().zip(theirs) {
        if let Err(reason) = &library.found {
            println!("| {} | left out: {reason} | | |", library.name);
        }
        for (name, nanos) in figures {
            let nanos = median(nanos.into_iter());
            let ours = if name.ends_with("forged") { ours_forged } else { ours_genuine };
            println!("| {} | {name} | {nanos:.0} | {:.1} |", library.name, nanos / ours);
        }
    }
    Ok(())
}

struct Library {
    name: &'static str,
    /// The program and its script, or why there is none.
    found: Result<(PathBuf, PathBuf), String>,
}

fn libraries(arguments: &Arguments) -> [Library; 2] {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let default_python = here.join("../target/bench-venv/bin/python");
    let python = PathBuf::from(arguments.text("python", &default_python.to_string_lossy()));
    let official = here.join("official");
    let node = match process::find("node") {
        None => Err("node is not installed".to_owned()),
        Some(_) if !official.join("node_modules/twilio").is_dir() => {
            Err("run bench/prepare first".to_owned())
        }
        Some(node) => Ok((node, official.join("validate.mjs"))),
    };
    let python = if python.is_file() {
        Ok((python, official.join("validate.py")))
    } else {
        Err("run bench/prepare first, or name a Python that has `twilio`: --python".to_owned())
    };
    [Library { name: "twilio for Node", found: node }, Library { name: "twilio for Python", found: python }]
}

/// What the script printed: names and nanoseconds.
fn ask(program: &Path, script: &Path, file: &Path, seconds: f64) -> Outcome<Vec<(String, f64)>> {
    let output = Command::new(program).arg(script).arg(file).arg(seconds.to_string()).output()?;
    if !output.status.success() {
        return Err(format!("{}: {}", script.display(), String::from_utf8_lossy(&output.stderr)).into());
    }
    let text = String::from_utf8(output.stdout)?;
    let lines = text.lines().filter_map(|line| line.split_once('\t'));
    lines.map(|(name, nanos)| Ok((name.to_owned(), nanos.parse()?))).collect()
}
