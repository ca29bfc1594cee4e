package merge

import "testing"

func TestHeadsAreMergedInParts(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ base, mine, theirs, want string }{
		"a blank line of mine, a reworded comment":     {"# old\n", "\n# old\n", "# new\n", "\n# new\n"},
		"spacing of mine, a reworded comment":          {"# old\nkey=", "# old\nkey = ", "# new\nkey=", "# new\nkey = "},
		"both reworded it":                             {"# old\nkey=", "# mine\nkey=", "# new\nkey=", "# mine\nkey="},
		"a comment of the vendor's first":              {"key=", "key = ", "; new\nkey=", "; new\nkey = "},
		"a comment of mine that the vendor knows not":  {"a:\n", "# mine\na:\n", "\na:\n", "\n# mine\na:\n"},
		"what is no comment stays together":            {"\n<!-- a\n b --><x", "\n<!-- m\n b --><x", "\n<!-- a\n t --><x", "\n<!-- m\n b --><x"},
		"blank lines within the comments go with them": {"# a\n\n# b\nk", "# a\n\n# b\nk ", "# a\n# b\nk", "# a\n# b\nk "},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := heads(c.base, c.mine, c.theirs); got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
			if got := heads(c.base, c.base, c.theirs); got != c.theirs {
				t.Errorf("left alone: got %q, want %q", got, c.theirs)
			}
			if got := heads(c.base, c.mine, c.base); got != c.mine {
				t.Errorf("the vendor left it alone: got %q, want %q", got, c.mine)
			}
		})
	}
}
