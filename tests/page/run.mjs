// All tests of the page: node --test run.mjs. README.md beside this file says what they need.

import "./browsing.mjs";
import "./asking.mjs";
import "./refining.mjs";
import "./looking.mjs";
import "./keyboard.mjs";
import "./phone.mjs";
import "./duplicates.mjs";
import "./map.mjs";
import "./trouble.mjs";
import "./access.mjs";
