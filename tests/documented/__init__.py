"""The documented API's behaviour: each test runs on the standard library's module, then on ours.

Programs rely on what the tests show of the standard library, so it must hold for our module too.
Where ours deliberately does better, the test uses the fixture ``improved`` and checks both results.
"""
