mod auth;
mod interest;
mod many;
mod pump;
mod records;
mod refusals;
mod rivals;
mod two;
