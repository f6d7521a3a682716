//! The sandbox from outside, on real sockets: its control API, its phones, its proxy, and how it starts and stops.

mod control;
mod conversations;
mod files;
mod foreign;
mod kit;
mod lifecycle;
mod pages;
mod phones;
mod proxy;
mod webhooks;
