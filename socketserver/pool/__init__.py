"""The pool behind a documented server: `PreforkMixIn`, `PreforkGroup`, and how others see them."""
