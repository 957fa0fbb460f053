"""Approves: writes the renderings that the tests compare with, anew. Read the difference before you keep it."""

from tests import test_letter_pictures, test_notices_text

test_notices_text.approve()
test_letter_pictures.approve()
