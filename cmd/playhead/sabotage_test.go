package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"slices"
	"strconv"
	"testing"
)

// What the command takes is what the server's code acts upon.
func TestSabotagesAreTheServers(t *testing.T) {
	t.Parallel()
	file, err := parser.ParseFile(token.NewFileSet(), "../../server/sabotage_on.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	broken := actedUpon(t, file, "sabotage")
	slices.Sort(broken)
	if taken := slices.Sorted(slices.Values(sabotages)); !slices.Equal(broken, taken) {
		t.Errorf("the server breaks %q, the command takes %q", broken, taken)
	}
}

// actedUpon are the texts that the code compares a variable with, in == and in switches.
func actedUpon(t *testing.T, file *ast.File, variable string) (texts []string) {
	isVariable := func(e ast.Expr) bool {
		name, ok := e.(*ast.Ident)
		return ok && name.Name == variable
	}
	note := func(e ast.Expr) {
		literal, ok := e.(*ast.BasicLit)
		if !ok {
			t.Fatalf("%s is compared with something else than a text", variable)
		}
		text, err := strconv.Unquote(literal.Value)
		if err != nil {
			t.Fatal(err)
		}
		texts = append(texts, text)
	}
	ast.Inspect(file, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.BinaryExpr:
			if n.Op == token.EQL && isVariable(n.X) {
				note(n.Y)
			}
		case *ast.SwitchStmt:
			if n.Tag == nil || !isVariable(n.Tag) {
				return true
			}
			for _, clause := range n.Body.List {
				for _, e := range clause.(*ast.CaseClause).List {
					note(e)
				}
			}
		}
		return true
	})
	return texts
}

func TestSabotageNamed(t *testing.T) {
	t.Parallel()
	for _, name := range append(sabotages, "") {
		if got, err := sabotageNamed(name); err != nil || got != name {
			t.Errorf("sabotageNamed(%q) = %q, %v", name, got, err)
		}
	}
	if got, err := sabotageNamed("drop-acknowleged"); err == nil || got != "" {
		t.Errorf("a misspelt sabotage is taken as %q", got)
	}
}
