//! A store with an archive behind it.

mod failing;
mod killed;
mod life;
mod paused;
mod races;
mod real;
mod refused;
mod restores;
mod trial;
