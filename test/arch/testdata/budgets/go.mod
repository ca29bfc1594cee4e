module uplevel

go 1.26
