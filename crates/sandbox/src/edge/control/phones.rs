//! `/_sandbox/phones/{number}`: what a phone does when it rings, and what becomes of texts to it.

use std::sync::Arc;

use axum::extract::{Path, State};
use serde::{Deserialize, Deserializer, Serialize};

use super::{Json, Problem, phone_number};
use crate::edge;
use crate::settings::PhoneBehaviour;
use crate::world::phones::Delivery;

/// What is absent stays as it is.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Change {
    #[serde(default)]
    behaviour: Told<PhoneBehaviour>,
    #[serde(default)]
    delivery: Told<Delivery>,
}

/// Something that may be said, taken back by `null`, or not mentioned.
#[derive(Debug, Clone, Copy, Default)]
enum Told<T> {
    #[default]
    Nothing,
    AsAtFirst,
    This(T),
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Told<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Option::<T>::deserialize(deserializer).map(|told| told.map_or(Self::AsAtFirst, Self::This))
    }
}

#[derive(Debug, Serialize)]
pub(super) struct Shown {
    #[serde(rename = "phone_number")]
    number: String,
    /// What it was told to do when it rings; `null`: what the settings say.
    behaviour: Option<PhoneBehaviour>,
    delivery: Delivery,
}

/// Also puts the phone onto the page, if it is not there.
pub(super) async fn change(
    State(state): State<Arc<edge::State>>,
    Path(number): Path<String>,
    Json(change): Json<Change>,
) -> Result<Json<Shown>, Problem> {
    let number = phone_number("number", &number)?;
    Ok(Json(state.engine.with(|world| {
        world.phones.add(number);
        match change.behaviour {
            Told::Nothing => {}
            Told::AsAtFirst => world.phones.set_behaviour(number, None),
            Told::This(behaviour) => world.phones.set_behaviour(number, Some(behaviour)),
        }
        match change.delivery {
            Told::Nothing => {}
            Told::AsAtFirst => world.phones.set_delivery(number, None),
            Told::This(delivery) => world.phones.set_delivery(number, Some(delivery)),
        }
        world.touch();
        Shown {
            number: number.to_string(),
            behaviour: world.phones.behaviour(number),
            delivery: world.phones.delivery(number),
        }
    })))
}

/// Takes it off the page, and it does again what the settings say.
pub(super) async fn remove(
    State(state): State<Arc<edge::State>>,
    Path(number): Path<String>,
) -> Result<Json<Shown>, Problem> {
    let number = phone_number("number", &number)?;
    let was_there = state.engine.with(|world| {
        world.phones.set_behaviour(number, None);
        world.phones.set_delivery(number, None);
        world.touch();
        world.phones.remove(number)
    });
    if was_there {
        Ok(Json(Shown { number: number.to_string(), behaviour: None, delivery: Delivery::default() }))
    } else {
        Err(Problem::not_found(format!("{number} was not added")))
    }
}
