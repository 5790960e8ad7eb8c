mod modes;
mod reading;
