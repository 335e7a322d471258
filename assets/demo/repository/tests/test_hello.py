import unittest

import hello


class Greeting(unittest.TestCase):
    def test_it_says_hello(self) -> None:
        self.assertIn("Hello", hello.greet())


if __name__ == "__main__":
    unittest.main()
