package template

import (
	"errors"
	"fmt"
	"reflect"
	standard "text/template"
)

// function is one that templates call: with at least and at most so many arguments, -1 for any
// number, and whether one argument decides, so that those behind it are not looked at.
type function struct {
	least, most int
	call        func(args []any) (any, error)
	decides     func(arg any) bool
}

// functions returns those of the standard library. Of them, call alone finds nothing to do:
// no value here is a function.
func functions() map[string]function {
	return map[string]function{
		"and":      {1, -1, last, func(arg any) bool { return !isTrue(arg) }},
		"or":       {1, -1, last, isTrue},
		"not":      {1, 1, func(args []any) (any, error) { return !isTrue(args[0]), nil }, nil},
		"call":     {1, -1, func(args []any) (any, error) { return nil, fmt.Errorf("%T is no function", args[0]) }, nil},
		"len":      {1, 1, length, nil},
		"index":    {1, -1, index, nil},
		"slice":    {1, 4, slice, nil},
		"print":    {0, -1, func(args []any) (any, error) { return fmt.Sprint(args...), nil }, nil},
		"println":  {0, -1, func(args []any) (any, error) { return fmt.Sprintln(args...), nil }, nil},
		"printf":   {1, -1, printf, nil},
		"html":     {0, -1, func(args []any) (any, error) { return standard.HTMLEscaper(args...), nil }, nil},
		"js":       {0, -1, func(args []any) (any, error) { return standard.JSEscaper(args...), nil }, nil},
		"urlquery": {0, -1, func(args []any) (any, error) { return standard.URLQueryEscaper(args...), nil }, nil},
		"eq":       {1, -1, equalsAny, nil},
		"ne":       {2, 2, func(args []any) (any, error) { eq, err := equal(args[0], args[1]); return !eq, err }, nil},
		"lt":       {2, 2, func(args []any) (any, error) { return less(args[0], args[1]) }, nil},
		"le":       {2, 2, func(args []any) (any, error) { return atMost(args[0], args[1]) }, nil},
		"gt":       {2, 2, func(args []any) (any, error) { le, err := atMost(args[0], args[1]); return !le, err }, nil},
		"ge":       {2, 2, func(args []any) (any, error) { lt, err := less(args[0], args[1]); return !lt, err }, nil},
	}
}

// names returns the names of the functions for the parser, which wants no more.
func names() map[string]any {
	all := map[string]any{}
	for name := range functions() {
		all[name] = name
	}
	return all
}

func isTrue(value any) bool {
	truth, _ := standard.IsTrue(value)
	return truth
}

func last(args []any) (any, error) { return args[len(args)-1], nil }

func printf(args []any) (any, error) {
	format, ok := args[0].(string)
	if !ok {
		return nil, fmt.Errorf("the format is %T, no text", args[0])
	}
	return fmt.Sprintf(format, args[1:]...), nil
}

func length(args []any) (any, error) {
	switch value := args[0].(type) {
	case string:
		return len(value), nil
	case []string:
		return len(value), nil
	}
	return nil, fmt.Errorf("%T has no length", args[0])
}

// position returns an argument as a place in something that ends at limit.
func position(arg any, limit int) (int, error) {
	at, ok := widened(arg).(int)
	if !ok {
		return 0, fmt.Errorf("%T is no index", arg)
	}
	if at < 0 || at > limit {
		return 0, fmt.Errorf("index %d is out of range", at)
	}
	return at, nil
}

// index returns x[1][2] for x 1 2.
func index(args []any) (any, error) {
	value := args[0]
	if value == nil {
		return nil, errors.New("nothing to index")
	}
	for _, arg := range args[1:] {
		switch item := value.(type) {
		case string:
			at, err := position(arg, len(item)-1)
			if err != nil {
				return nil, err
			}
			value = item[at]
		case []string:
			at, err := position(arg, len(item)-1)
			if err != nil {
				return nil, err
			}
			value = item[at]
		default:
			return nil, fmt.Errorf("%T has no index", value)
		}
	}
	return value, nil
}

// slice returns x[1:2] for x 1 2, and x[1:2:3] of a list for x 1 2 3.
func slice(args []any) (any, error) {
	text, isText := args[0].(string)
	list, isList := args[0].([]string)
	if !isText && !isList || isText && len(args) > 3 {
		return nil, fmt.Errorf("%T cannot be sliced by %d indexes", args[0], len(args)-1)
	}
	limit := max(len(text), cap(list))
	bounds := []int{0, len(text) + len(list), limit}
	for i, arg := range args[1:] {
		at, err := position(arg, limit)
		if err != nil {
			return nil, err
		}
		bounds[i] = at
	}
	if bounds[0] > bounds[1] || bounds[1] > bounds[2] {
		return nil, fmt.Errorf("indexes %v go backwards", bounds[:len(args)-1])
	}
	if isText {
		return text[bounds[0]:bounds[1]], nil
	}
	return list[bounds[0]:bounds[1]:bounds[2]], nil
}

// equalsAny says whether the first argument equals one of the others.
func equalsAny(args []any) (any, error) {
	if len(args) == 1 {
		return nil, errors.New("nothing to compare with")
	}
	for _, other := range args[1:] {
		if eq, err := equal(args[0], other); eq || err != nil {
			return eq, err
		}
	}
	return false, nil
}

// widened returns a byte as an int: whole numbers compare whatever their type.
func widened(value any) any {
	if b, ok := value.(byte); ok {
		return int(b)
	}
	return value
}

// equal compares basic values of one kind. A list can be compared with nil only.
func equal(a, b any) (bool, error) {
	a, b = widened(a), widened(b)
	if a == nil || b == nil {
		return isNil(a) == isNil(b), nil
	}
	if reflect.TypeOf(a) != reflect.TypeOf(b) {
		return false, fmt.Errorf("%T cannot be compared with %T", a, b)
	}
	if isNil(a) || isNil(b) {
		return isNil(a) == isNil(b), nil
	}
	if !reflect.TypeOf(a).Comparable() {
		return false, fmt.Errorf("%T cannot be compared", a)
	}
	return a == b, nil
}

func isNil(value any) bool {
	list, ok := value.([]string)
	return value == nil || ok && list == nil
}

// less compares numbers and texts.
func less(a, b any) (bool, error) {
	a, b = widened(a), widened(b)
	switch x := a.(type) {
	case int:
		if y, ok := b.(int); ok {
			return x < y, nil
		}
	case float64:
		if y, ok := b.(float64); ok {
			return x < y, nil
		}
	case string:
		if y, ok := b.(string); ok {
			return x < y, nil
		}
	}
	return false, fmt.Errorf("%T and %T have no order", a, b)
}

func atMost(a, b any) (bool, error) {
	if lt, err := less(a, b); lt || err != nil {
		return lt, err
	}
	return equal(a, b)
}
