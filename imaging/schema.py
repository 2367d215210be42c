def rmbg_schema(view):
    return view
