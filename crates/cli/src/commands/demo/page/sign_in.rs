//! The third chapter: sign in to the console with a password, which is not enough, and with the code from the phone.
//!
//! The page is the visitor's browser at the console: what is typed here goes to the console's own pages over HTTP, and what
//! is shown is what these answered.

use std::rc::Rc;

use bytes::Bytes;
use http::Response;

use super::{Form, Page, leading_to};
use crate::commands::demo::browser::{Browser, Came};
use crate::commands::demo::operator;
use crate::commands::demo::person::{self, Person};

/// Whom the page signs in.
pub(super) const VISITOR: Person =
    Person { login: "you@example.com", password: "maple river lantern", phone: "+12025550188" };
/// So many steps are remembered.
const KEPT: usize = 8;

/// How far the visitor has come.
#[derive(Debug, Default)]
pub(super) struct State {
    /// The command that made the person.
    pub(super) invited: Option<String>,
    /// Whether the person has a phone and can sign in.
    pub(super) is_bound: bool,
    /// What was on the phone before: texts of when it was bound.
    pub(super) texts_before: usize,
    browser: Option<Browser>,
    pub(super) at: At,
    /// Oldest first.
    pub(super) steps: Vec<Step>,
}

/// Where they are.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) enum At {
    #[default]
    Password,
    /// The password was right. Whether a code has been asked for.
    SecondFactor {
        is_sent: bool,
    },
    Inside,
}

/// One thing that was done, and what the console answered.
#[derive(Debug, Clone)]
pub(super) struct Step {
    pub(super) what: String,
    pub(super) status: u16,
    pub(super) answer: String,
    pub(super) is_good: bool,
}

impl Page {
    /// Makes the person whom the page signs in, while the visitor reads.
    pub(super) fn sign_in_prepared(self: &Rc<Self>) {
        let page = Rc::clone(self);
        self.sign_in.begin("The demo makes a person for you.", async move { page.make_person().await });
    }

    async fn make_person(&self) -> anyhow::Result<()> {
        if self.sign_in.with(|state| state.is_bound) {
            return Ok(());
        }
        let tell = |what: &str| self.sign_in.tell(&format!("Waiting until {what}."));
        person::ready(&self.world, &tell).await?;
        let invited = if self.sign_in.with(|state| state.invited.is_none()) {
            let typed = operator::add_owner(&self.world, VISITOR.login).await?;
            self.sign_in.with(|state| state.invited = Some(typed.line.clone()));
            typed
        } else {
            operator::invite_again(&self.world, VISITOR.login).await?
        };
        let bound = person::bind(&self.world, &VISITOR, invited.output.trim(), &tell).await?;
        anyhow::ensure!(bound.is_inside, "the person could not be made");
        let thread = self.world.twilio.phone(VISITOR.phone).await?;
        self.sign_in.with(|state| {
            state.texts_before = thread.as_array().map_or(0, Vec::len);
            state.is_bound = true;
        });
        Ok(())
    }

    pub(super) async fn password(self: &Rc<Self>, form: &Form) -> Response<Bytes> {
        let (login, password) = (form.get("login").to_owned(), form.get("password").to_owned());
        let page = Rc::clone(self);
        let act = async move {
            page.make_person().await?;
            let mut browser = Browser::new(page.world.console);
            let came = person::type_password(&mut browser, &login, &password).await?;
            let is_right = came.to == "/second-factor";
            page.step(
                "You type the address and a password",
                &came,
                is_right,
                "right, and now a second factor",
            );
            if is_right {
                // What a thief would do who has no more than that.
                let came = browser.get("/").await?;
                let answer = format!("back to {}", came.to);
                page.step("With no more than that you open the console", &came, came.status == 200, &answer);
                page.sign_in.with(|state| state.at = At::SecondFactor { is_sent: false });
            }
            page.sign_in.with(|state| state.browser = Some(browser));
            Ok(())
        };
        self.at_the_door("The console looks at the password.", act).await
    }

    pub(super) async fn send_code(self: &Rc<Self>, form: &Form) -> Response<Bytes> {
        let is_call = form.get("channel") == "call";
        let page = Rc::clone(self);
        let act = async move {
            let Some(mut browser) = page.browser_at_the_door() else { return Ok(()) };
            let known = person::codes_on(&page.world, VISITOR.phone).await?;
            let channel = if is_call { "call" } else { "sms" };
            let came = person::ask_for_code(&mut browser, channel).await?;
            let is_sent = came.status == 200;
            let what =
                if is_call { "You ask for a call with a code" } else { "You ask for a text with a code" };
            page.step(what, &came, is_sent, "it is on its way");
            page.sign_in.with(|state| state.browser = Some(browser));
            if is_sent {
                page.sign_in.with(|state| state.at = At::SecondFactor { is_sent });
                let tell = |what: &str| page.sign_in.tell(&format!("Waiting until {what}."));
                if is_call {
                    person::answered(&page.world, VISITOR.phone, &tell).await?;
                } else {
                    person::new_code(&page.world, VISITOR.phone, &known, &tell).await?;
                }
            }
            Ok(())
        };
        self.at_the_door("The code is on its way.", act).await
    }

    pub(super) async fn code(self: &Rc<Self>, form: &Form) -> Response<Bytes> {
        let code = form.get("code").to_owned();
        let page = Rc::clone(self);
        let act = async move {
            let Some(mut browser) = page.browser_at_the_door() else { return Ok(()) };
            let came = person::type_code(&mut browser, "phone-code", &code).await?;
            let is_right = came.to == "/";
            page.step("You type a code", &came, is_right, "right");
            if is_right {
                let came = browser.get("/").await?;
                let is_inside = came.status == 200 && came.text.contains(VISITOR.login);
                page.step("You open the console", &came, is_inside, "the overview of all accounts");
                page.sign_in.with(|state| state.at = if is_inside { At::Inside } else { At::Password });
            }
            page.sign_in.with(|state| state.browser = Some(browser));
            Ok(())
        };
        self.at_the_door("The console looks at the code.", act).await
    }

    /// A key of the phone, during a call with a code.
    pub(super) async fn press_key(self: &Rc<Self>) -> Response<Bytes> {
        let page = Rc::clone(self);
        let act = async move {
            if let Some(call) = person::call_on(&page.world, VISITOR.phone).await?
                && let Some(sid) = call["sid"].as_str()
                && call["ended"].is_null()
            {
                page.world.twilio.press(sid, "1").await?;
            }
            Ok(())
        };
        self.at_the_door("You press a key.", act).await
    }

    pub(super) async fn sign_in_again(self: &Rc<Self>) -> Response<Bytes> {
        let page = Rc::clone(self);
        let act = async move {
            page.sign_in.with(|state| {
                (state.browser, state.at) = (None, At::Password);
                state.steps.clear();
            });
            page.make_person().await
        };
        self.at_the_door("The demo begins again.", act).await
    }

    async fn at_the_door(
        self: &Rc<Self>,
        what: &str,
        act: impl Future<Output = anyhow::Result<()>> + 'static,
    ) -> Response<Bytes> {
        self.sign_in.act(what, act).await;
        leading_to("sign-in")
    }

    /// The browser of somebody whose password was right.
    fn browser_at_the_door(&self) -> Option<Browser> {
        self.sign_in.with(|state| {
            let is_there = matches!(state.at, At::SecondFactor { .. });
            state.browser.clone().filter(|_| is_there)
        })
    }

    /// What the console's page says is wrong is told in its own words.
    fn step(&self, what: &str, came: &Came, is_good: bool, answer: &str) {
        let answer = came.problem().unwrap_or_else(|| answer.to_owned());
        self.sign_in.with(|state| {
            state.steps.push(Step { what: what.to_owned(), status: came.status, answer, is_good });
            let over = state.steps.len().saturating_sub(KEPT);
            state.steps.drain(..over);
        });
    }
}
