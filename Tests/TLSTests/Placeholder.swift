// Tests follow.
import Testing
