//! The tour's third part: an owner signs in to the console, and somebody who has her password does not.

use super::World;
use super::browser::Browser;
use super::operator;
use super::person::{Person, ask_for_code, bind, codes_on, new_code, type_code, type_password};
use super::show::Show;
use super::twilio::PHONE;
use crate::commands::paper::{Paper, waits};

const MARIA: Person = Person { login: "maria@example.com", password: "tulip cement orbit", phone: PHONE };

/// Shows it; says how much did not go as told.
pub(super) async fn give(world: &World, out: &mut Paper) -> anyhow::Result<usize> {
    let mut show = Show::new(out);
    show.out
        .line("A password alone opens nothing. Maria owns this installation, and signs in to its console:");
    // 1. She binds what she has: an application, recovery codes, a phone.
    let invited = operator::add_owner(world, MARIA.login).await?;
    show.typed(&invited);
    let bound = bind(world, &MARIA, invited.output.trim(), &waits).await?;
    show.line(
        bound.is_inside && bound.codes == 10,
        "with that code she binds an application, a phone, recovery codes",
        "once, then it is used up",
    );

    // 2. Somebody has her password.
    let mut thief = Browser::new(world.console);
    let asked = type_password(&mut thief, MARIA.login, MARIA.password).await?;
    show.line(asked.to == "/second-factor", "a thief types her password", "and is asked for a second factor");
    let guessed = type_code(&mut thief, "code", "123456").await?;
    show.line(guessed.status == 422, "he guesses", "this is not the code; she is mailed in three minutes");
    let page = thief.get("/").await?;
    show.line(page.status != 200, "he opens the overview", "and is back at the door");

    // 3. She signs in with the code on her phone.
    let mut browser = Browser::new(world.console);
    type_password(&mut browser, MARIA.login, MARIA.password).await?;
    let known = codes_on(world, MARIA.phone).await?;
    ask_for_code(&mut browser, "sms").await?;
    let code = new_code(world, MARIA.phone, &known, &waits).await?;
    show.line(true, "she types her password, and the code that her phone shows", &code);
    let inside = type_code(&mut browser, "phone-code", &code).await?;
    let page = browser.get("/").await?;
    show.line(inside.to == "/" && page.text.contains(MARIA.login), "and is inside", "signed in");
    let mut again = Browser::new(world.console);
    type_password(&mut again, MARIA.login, MARIA.password).await?;
    let used = type_code(&mut again, "phone-code", &code).await?;
    show.line(used.status == 422, "the same code once more", "it was good once");
    Ok(show.wrong)
}
