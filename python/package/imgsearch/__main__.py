"""`python -m imgsearch` is the command `imgsearch`."""

import sys

from imgsearch._cli import main

sys.exit(main())
