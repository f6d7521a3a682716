mod fixtures;
mod keys;
mod rendering;
mod settings;
