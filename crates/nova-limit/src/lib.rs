//! Rate limits, permits and breakers; time is an argument.
