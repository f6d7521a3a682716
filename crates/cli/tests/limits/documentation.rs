//! Every command of docs/limits.md is typed, in its order, and works.

use std::path::Path;

use crate::world::World;

const LIMITS: &str = "[[limit]]\nname = \"fifty a day\"\nscope = \"subaccounts\"\nwindow = \"daily\"\nat = \"50\"\n\
                      then = [\"suspend\"]\n\n[[limit]]\nname = \"a thousand a day in all\"\nscope = \"subaccounts\"\n\
                      per = \"together\"\nwindow = \"daily\"\nat = \"1000\"\nthen = [\"suspend\"]\n";

#[test]
fn every_command_of_the_page_on_limits_does_what_it_says() {
    let world = World::with("url = \"sqlite:ringfence.db\"", LIMITS);
    let account = world.subaccount("Customer 7");
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/limits.md");
    let page = std::fs::read_to_string(page).unwrap();
    let mut typed = Vec::new();
    for line in page.lines().filter(|line| line.starts_with("ringfence ")) {
        let command = line.split("  #").next().unwrap().trim();
        let run = world.type_in(command);
        // There is something to do before the limits are applied, and nothing fails afterwards.
        let expected = i32::from(command.starts_with("ringfence limits plan"));
        assert_eq!(run.code, expected, "{command}\n{}{}", run.out, run.err);
        let status = world.status(account);
        let stops = command.starts_with("ringfence trip") || command.starts_with("ringfence account suspend");
        assert_eq!(status == "suspended", stops, "{command}\n{}", run.out);
        typed.push(command);
    }
    for command in ["limits plan", "limits apply", "status", "trip", "reset", "report", "account suspend"] {
        assert!(typed.iter().any(|it| it.starts_with(&format!("ringfence {command}"))), "{command}");
    }
}
