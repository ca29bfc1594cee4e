package merge

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// list is a list of maps with a value each: "a=1" has the identity a, "=1" has none.
func list(words string) *Node {
	n := &Node{Kind: List}
	for w := range strings.FieldsSeq(words) {
		id, value, _ := strings.Cut(w, "=")
		n.Children = append(n.Children, &Node{
			Kind: Map, Identity: id, Value: id, Head: " " + id + "=",
			Children: []*Node{{Kind: Scalar, Key: "value", Raw: value, Value: value}},
		})
	}
	left := MaxNodes
	n.weigh(&left, 0)
	return n
}

func TestElementsAreMatched(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, base, mine, theirs, want, conflicts string }{
		{"by identity", "a=1 b=1", "a=2 b=1 c=1", "d=1 a=1 b=2", "d=1 a=2 b=2 c=1", ""},
		{"what takes another place is not mixed", "=1 a=1 =2", "=3 =2 =4", "=5 a=2 =6", "=3 =2 =4", "l"},
		{"both change what has no name", "=1 =2", "=3 =2", "=4 =2", "=3 =2", "l[0].value"},
		{"by order", "=1 =2 =3", "=1 =2 =4", "=0 =1 =2 =3", "=0 =1 =2 =4", ""},
		{"some have one", "a=1 =x =y b=1", "a=2 =x =y b=1 c=1", "a=1 d=1 =x =z =y b=2", "a=2 d=1 =x =z =y b=2 c=1", ""},
		{"both add what has one", "a=1 =x =x", "a=1 =x =x b=1", "a=1 =x =x c=1", "a=1 =x =x c=1 b=1", ""},
		{"both add the same at two places", "a=1 =x =x", "b=1 a=1 =x =x", "a=1 =x =x b=1", "b=1 a=1 =x =x", "l"},
		{"both change one", "a=1 =x =x", "a=2 =x =x", "a=3 =x =x", "a=2 =x =x", "a.value"},
		{"both add what has none", "a=1", "a=1 =x", "a=1 =y =z", "a=1 =x", "l"},
		{"theirs moved one", "a=1 =x b=1", "a=2 =x b=1", "b=1 =x a=1", "a=2 =x b=1", "l"},
		{"one that repeats tells nothing", "a=1 =x", "a=1 a=2 =x", "a=1 =y", "a=1 a=2 =x", "l"},
	} {
		k := &keyed{}
		got := k.choose("", &Node{Kind: Map, Children: []*Node{named("l", list(c.base))}},
			&Node{Kind: Map, Children: []*Node{named("l", list(c.mine))}}, &Node{Kind: Map, Children: []*Node{named("l", list(c.theirs))}})
		var keys []string
		for _, conflict := range k.conflicts {
			keys = append(keys, strings.TrimPrefix(conflict.Key, "l."))
		}
		if diff := cmp.Diff([]string{c.want, c.conflicts}, []string{strings.TrimSpace(got.Text()), strings.Join(keys, " ")}); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.name, diff)
		}
	}
}

func named(key string, n *Node) *Node {
	n.Key = key
	return n
}

func TestContainersOfOtherValuesAreNotMixed(t *testing.T) {
	t.Parallel()
	tag := func(value string) *Node {
		n := &Node{Kind: Map, Value: value, Head: "<" + value, Children: []*Node{{Kind: Scalar, Key: "x", Raw: value, Value: value}}}
		left := MaxNodes
		n.weigh(&left, 0)
		return n
	}
	k := &keyed{}
	if got := k.choose("at", tag("a"), tag("b"), tag("c")); got.Text() != "<bb" || len(k.conflicts) != 1 || k.conflicts[0].Key != "at" {
		t.Errorf("%s %+v", got.Text(), k.conflicts)
	}
	if got := k.choose("at", tag("a"), tag("a"), tag("c")); got.Text() != "<cc" {
		t.Error(got.Text())
	}
}
