//! The report for people and for machines. Names in it come from outside, so each format escapes them in its own way.
