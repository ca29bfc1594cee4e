package template

import (
	"reflect"
	"strings"
	"text/template/parse"
)

// pipeline evaluates one command after another, each with the value of the one before as its
// last argument, and gives the outcome to the variables that are declared or assigned.
func (s *scope) pipeline(dot any, pipe *parse.PipeNode) (any, error) {
	if pipe == nil {
		return nil, nil //nolint:nilnil // nil is a value: that of a template called with none
	}
	var piped []any
	for _, command := range pipe.Cmds {
		value, err := s.command(dot, command, piped)
		if err != nil {
			return nil, err
		}
		piped = []any{value}
	}
	value := piped[0]
	for _, v := range pipe.Decl {
		if !pipe.IsAssign {
			s.vars = append(s.vars, variable{v.Ident[0], value})
			continue
		}
		known := s.find(v.Ident[0])
		if known == nil {
			return nil, s.fail(pipe, "there is no variable %s", v)
		}
		known.value = value
	}
	return value, nil
}

// command evaluates a function with its arguments, or what takes none.
func (s *scope) command(dot any, command *parse.CommandNode, piped []any) (any, error) {
	first, rest := command.Args[0], command.Args[1:]
	if function, ok := first.(*parse.IdentifierNode); ok {
		return s.function(dot, function, rest, piped)
	}
	if len(rest)+len(piped) > 0 {
		return nil, s.fail(command, "%s is no function and takes no arguments", first)
	}
	if _, ok := first.(*parse.NilNode); ok {
		return nil, s.fail(command, "nil is no command")
	}
	return s.operand(dot, first)
}

// function calls a function. Of and, and or, only as many arguments are evaluated as it takes.
func (s *scope) function(dot any, node *parse.IdentifierNode, rest []parse.Node, piped []any) (any, error) {
	f := functions()[node.Ident]
	if n := len(rest) + len(piped); n < f.least || f.most >= 0 && n > f.most {
		return nil, s.fail(node, "%s does not take %d arguments", node.Ident, n)
	}
	args := make([]any, 0, len(rest)+1)
	for _, arg := range rest {
		value, err := s.operand(dot, arg)
		if err != nil {
			return nil, err
		}
		if f.decides != nil && f.decides(value) {
			return value, nil
		}
		args = append(args, value)
	}
	value, err := f.call(append(args, piped...))
	if err != nil {
		return nil, s.fail(node, "%w", err)
	}
	return value, nil
}

// operand evaluates what stands for one value.
func (s *scope) operand(dot any, node parse.Node) (any, error) {
	switch node := node.(type) {
	case *parse.DotNode:
		return dot, nil
	case *parse.FieldNode:
		return s.fields(node, dot, node.Ident)
	case *parse.VariableNode:
		known := s.find(node.Ident[0])
		if known == nil {
			return nil, s.fail(node, "there is no variable %s", node.Ident[0])
		}
		return s.fields(node, known.value, node.Ident[1:])
	case *parse.ChainNode:
		value, err := s.operand(dot, node.Node)
		if err != nil {
			return nil, err
		}
		return s.fields(node, value, node.Field)
	case *parse.PipeNode:
		return s.pipeline(dot, node)
	case *parse.IdentifierNode:
		return s.function(dot, node, nil, nil)
	case *parse.NumberNode:
		return s.number(node)
	case *parse.StringNode:
		return node.Text, nil
	case *parse.BoolNode:
		return node.True, nil
	case *parse.NilNode:
		return nil, nil //nolint:nilnil // nil is a value
	}
	return nil, s.fail(node, "no value")
}

// fields goes from a value to the field of a field of it. Nothing has nothing in it.
func (s *scope) fields(node parse.Node, value any, names []string) (any, error) {
	for _, name := range names {
		if value == nil {
			return nil, nil //nolint:nilnil // nil is a value
		}
		v := reflect.ValueOf(value)
		if v.Kind() != reflect.Struct {
			return nil, s.fail(node, "%T has no field %s", value, name)
		}
		field, ok := v.Type().FieldByName(name)
		if !ok || !field.IsExported() {
			return nil, s.fail(node, "there is no field %s", name)
		}
		value = v.FieldByIndex(field.Index).Interface()
	}
	return value, nil
}

// number returns what a number is by how it is written.
func (s *scope) number(node *parse.NumberNode) (any, error) {
	text := node.Text
	letter := text[0] == '\''
	hex := len(text) > 2 && (text[:2] == "0x" || text[:2] == "0X") && !strings.ContainsAny(text, "pP")
	switch {
	case node.IsComplex:
		return node.Complex128, nil
	case node.IsFloat && !hex && !letter && strings.ContainsAny(text, ".eEpP"):
		return node.Float64, nil
	case node.IsInt && int64(int(node.Int64)) == node.Int64:
		return int(node.Int64), nil
	}
	return nil, s.fail(node, "%s is too large", text)
}
