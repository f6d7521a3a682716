//! The commands that work on a store, as a person or a script runs them: what is printed, what is kept, and the exit
//! code.

mod api_token;
mod application;
mod audit;
mod backup;
mod installation;
mod opening;
mod user;
