// Package template prints a value the way somebody asks for it, in the language of the standard
// library's text/template: read by its parser, evaluated here. What evaluates it there looks up
// methods by names that only the template knows, so that the linker can leave out no exported
// method of anything; that was an eighth of the update tool (docs/decisions/2026-11-24-size.md).
// Here a value is a text, a number, a list of texts or a struct of such, and has no methods.
package template

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"text/template/parse"
)

// maxDepth is how deep templates may call one another, as in the standard library.
const maxDepth = 100_000

const mainName = "template"

// What leaves the body of a range early. Neither gets out of it: the parser sees to that.
var (
	errBreak    = errors.New("break outside of range")
	errContinue = errors.New("continue outside of range")
)

// Template is a text that was read and can be printed, also by several at once.
type Template struct {
	trees map[string]*parse.Tree
}

// Parse reads a template. The error names the place that cannot be read.
func Parse(text string) (*Template, error) {
	trees, err := parse.Parse(mainName, text, "", "", names())
	if err != nil {
		return nil, err
	}
	return &Template{trees: trees}, nil
}

// Execute prints data through the template. Data is a struct of texts and lists of texts. The
// error names the place in the template that asks for what is not there; what was printed up to
// it stays printed.
func (t *Template) Execute(w io.Writer, data any) error {
	s := scope{trees: t.trees, tree: t.trees[mainName], out: w, vars: []variable{{"$", data}}}
	return s.walk(data, s.tree.Root)
}

// scope is one execution of one template: what it sees, and where it prints. A value is nil,
// bool, int, float64, complex128, string, byte (of an indexed string), []string, or the data.
type scope struct {
	trees map[string]*parse.Tree
	tree  *parse.Tree
	out   io.Writer
	vars  []variable // the innermost last
	depth int
}

type variable struct {
	name  string
	value any
}

// fail names the place that something is wrong with.
func (s *scope) fail(at parse.Node, format string, args ...any) error {
	where, what := s.tree.ErrorContext(at)
	return fmt.Errorf("%s: <%s>: %w", where, what, fmt.Errorf(format, args...))
}

// walk prints a node, with dot as what "." stands for.
func (s *scope) walk(dot any, node parse.Node) error {
	switch node := node.(type) {
	case *parse.TextNode:
		_, err := s.out.Write(node.Text)
		return err
	case *parse.ActionNode:
		return s.action(dot, node)
	case *parse.ListNode:
		return s.list(dot, node)
	case *parse.IfNode:
		return s.branch(dot, &node.BranchNode, false)
	case *parse.WithNode:
		return s.branch(dot, &node.BranchNode, true)
	case *parse.RangeNode:
		return s.loop(dot, node)
	case *parse.TemplateNode:
		return s.call(dot, node)
	case *parse.BreakNode:
		return errBreak
	case *parse.ContinueNode:
		return errContinue
	case *parse.CommentNode:
		return nil
	}
	return s.fail(node, "unknown node")
}

func (s *scope) list(dot any, list *parse.ListNode) error {
	if list == nil {
		return nil // no else
	}
	for _, node := range list.Nodes {
		if err := s.walk(dot, node); err != nil {
			return err
		}
	}
	return nil
}

// action prints what a pipeline gives, unless a variable takes it.
func (s *scope) action(dot any, node *parse.ActionNode) error {
	value, err := s.pipeline(dot, node.Pipe)
	if err != nil || len(node.Pipe.Decl) > 0 {
		return err
	}
	if value == nil {
		value = "<no value>"
	}
	_, err = fmt.Fprint(s.out, value)
	return err
}

// branch is if, and with, whose body sees the value as its dot.
func (s *scope) branch(dot any, node *parse.BranchNode, narrows bool) error {
	defer s.leave(len(s.vars))
	value, err := s.pipeline(dot, node.Pipe)
	if err != nil {
		return err
	}
	if !isTrue(value) {
		return s.list(dot, node.ElseList)
	}
	if narrows {
		dot = value
	}
	return s.list(dot, node.List)
}

// loop is range over a list or a number.
func (s *scope) loop(dot any, node *parse.RangeNode) error {
	defer s.leave(len(s.vars))
	value, err := s.pipeline(dot, node.Pipe)
	if err != nil {
		return err
	}
	length, item, err := s.items(node, value)
	if err != nil {
		return err
	}
	if length <= 0 {
		return s.list(dot, node.ElseList)
	}
	inside := len(s.vars)
	for i := range length {
		s.assign(node.Pipe, i, item(i))
		err := s.list(item(i), node.List)
		s.leave(inside)
		switch {
		case errors.Is(err, errBreak):
			return nil
		case err != nil && !errors.Is(err, errContinue):
			return err
		}
	}
	return nil
}

// items returns how many rounds a loop has, and what each is about.
func (s *scope) items(node *parse.RangeNode, value any) (int, func(int) any, error) {
	number := func(length int, item func(int) any) (int, func(int) any, error) {
		if len(node.Pipe.Decl) > 1 {
			return 0, nil, s.fail(node, "%v is a number, which gives one variable", value)
		}
		return length, item, nil
	}
	switch value := value.(type) {
	case nil:
		return 0, nil, nil
	case []string:
		return len(value), func(i int) any { return value[i] }, nil
	case int:
		return number(value, func(i int) any { return i })
	case byte:
		return number(int(value), func(i int) any { return byte(i) }) //nolint:gosec // below a byte
	}
	return 0, nil, s.fail(node, "%T is nothing to range over", value)
}

// assign gives the variables of a loop, which are there since its pipeline was evaluated, what
// this round is about.
func (s *scope) assign(pipe *parse.PipeNode, index int, item any) {
	switch len(pipe.Decl) {
	case 1:
		s.find(pipe.Decl[0].Ident[0]).value = item
	case 2:
		s.find(pipe.Decl[0].Ident[0]).value = index
		s.find(pipe.Decl[1].Ident[0]).value = item
	}
}

// call prints another template of the same text, which sees none of the variables.
func (s *scope) call(dot any, node *parse.TemplateNode) error {
	tree := s.trees[node.Name]
	if tree == nil {
		return s.fail(node, "there is no template %q", node.Name)
	}
	if s.depth == maxDepth {
		return s.fail(node, "templates call one another more than %d deep", maxDepth)
	}
	value, err := s.pipeline(dot, node.Pipe)
	if err != nil {
		return err
	}
	called := scope{trees: s.trees, tree: tree, out: s.out, vars: []variable{{"$", value}}, depth: s.depth + 1}
	return called.walk(value, tree.Root)
}

func (s *scope) leave(outside int) { s.vars = s.vars[:outside] }

// find returns the innermost variable of a name, nil when there is none.
func (s *scope) find(name string) *variable {
	for i := range slices.Backward(s.vars) {
		if s.vars[i].name == name {
			return &s.vars[i]
		}
	}
	return nil
}
