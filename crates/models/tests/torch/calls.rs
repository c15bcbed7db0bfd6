//! Pickles that would import, create or call something: each is refused by name, and by the byte.

use super::asm::{Asm, dangerous, dict_of, proto2, proto4, refusals};

/// GLOBAL and REDUCE with one text.
fn call(module: &str, name: &str) -> Vec<u8> {
    proto2()
        .global(module, name)
        .text("id")
        .raw(b"\x85R")
        .stop()
}

/// STACK_GLOBAL and REDUCE with one text.
fn stack_call(module: &str, name: &str) -> Vec<u8> {
    let asm = proto4().text(module).text(name).raw(b"\x93");
    asm.text("id").raw(b"\x85R").stop()
}

/// A known class, then an opcode that would create an object of it.
fn created(opcodes: &[u8]) -> Vec<u8> {
    proto4()
        .global("collections", "OrderedDict")
        .raw(opcodes)
        .stop()
}

/// BUILD of an `OrderedDict` with the state that is added.
fn built(state: impl FnOnce(Asm) -> Asm) -> Vec<u8> {
    proto2().ordered_dict().then(state).raw(b"b").stop()
}

refusals! {
    dangerous;
    os_system_by_global: call("os", "system") => "needs `os.system` (GLOBAL at byte 2)";
    os_system_by_stack_global:
        stack_call("os", "system") => "needs `os.system` (STACK_GLOBAL at byte 20)";
    os_system_by_inst:
        proto2().raw(b"(").text("id").raw(b"ios\nsystem\n").stop()
        => "creates an object of `os.system` (INST at byte 10)";
    os_system_by_obj:
        proto2().raw(b"(").global("os", "system").text("id").raw(b"o").stop()
        => "needs `os.system` (GLOBAL at byte 3)";
    os_system_by_newobj:
        proto2().global("os", "system").text("id").raw(b"\x85\x81").stop() => "`os.system`";
    os_system_by_newobj_ex:
        proto4().global("os", "system").text("id").raw(b"\x85}\x92").stop() => "`os.system`";
    os_system_of_linux: call("posix", "system") => "`posix.system`";
    os_system_of_windows: call("nt", "system") => "`nt.system`";
    os_popen: call("os", "popen") => "`os.popen`";
    os_execv: call("os", "execv") => "`os.execv`";
    builtins_eval: call("builtins", "eval") => "`builtins.eval`";
    builtins_exec: call("builtins", "exec") => "`builtins.exec`";
    builtins_compile: call("builtins", "compile") => "`builtins.compile`";
    builtins_open: call("builtins", "open") => "`builtins.open`";
    builtins_getattr: call("builtins", "getattr") => "`builtins.getattr`";
    builtins_import: call("builtins", "__import__") => "`builtins.__import__`";
    builtins_of_python_2: call("__builtin__", "eval") => "`__builtin__.eval`";
    builtins_through_numpy: call("numpy", "__builtins__") => "`numpy.__builtins__`";
    subprocess_popen: call("subprocess", "Popen") => "`subprocess.Popen`";
    subprocess_check_output: call("subprocess", "check_output") => "`subprocess.check_output`";
    multiprocessing_spawn:
        call("multiprocessing.util", "spawnv_passfds") => "`multiprocessing.util.spawnv_passfds`";
    asyncio_subprocess:
        call("asyncio.unix_events", "_UnixSubprocessTransport._start") => "_UnixSubprocess";
    pty_spawn: call("pty", "spawn") => "`pty.spawn`";
    runpy_run_path: call("runpy", "run_path") => "`runpy.run_path`";
    code_interact: call("code", "interact") => "`code.interact`";
    importlib_import: call("importlib", "import_module") => "`importlib.import_module`";
    ctypes_library: call("ctypes", "CDLL") => "`ctypes.CDLL`";
    types_function: call("types", "FunctionType") => "`types.FunctionType`";
    marshal_loads: call("marshal", "loads") => "`marshal.loads`";
    pickle_loads: call("_pickle", "loads") => "`_pickle.loads`";
    torch_load: call("torch", "load") => "`torch.load`";
    torch_load_from_bytes:
        call("torch.storage", "_load_from_bytes") => "`torch.storage._load_from_bytes`";
    torch_serialization_load: call("torch.serialization", "load") => "`torch.serialization.load`";
    torch_hub_load: call("torch.hub", "load") => "`torch.hub.load`";
    torch_jit_load: call("torch.jit", "load") => "`torch.jit.load`";
    torch_collect_env: call("torch.utils.collect_env", "run") => "`torch.utils.collect_env.run`";
    torch_guards:
        call("torch._dynamo.guards", "GuardBuilder.get") => "`torch._dynamo.guards.Guard";
    torch_bottleneck:
        call("torch.utils.bottleneck.__main__", "run_cprofile") => "`torch.utils.bottleneck";
    torch_module_class: call("torch.nn.modules.linear", "Linear") => "modules.linear.Linear`";
    torch_other_rebuild:
        call("torch._utils", "_rebuild_device_tensor_from_numpy") => "`torch._utils._rebuild_";
    torch_from_type: call("torch._tensor", "_rebuild_from_type_v2") => "_rebuild_from_type_v2`";
    numpy_load: call("numpy", "load") => "`numpy.load`";
    numpy_runstring: call("numpy.testing._private.utils", "runstring") => "runstring`";
    pandas_read: call("pandas.io.parsers.readers", "read_csv") => "read_csv`";
    pandas_pickle: call("pandas", "read_pickle") => "`pandas.read_pickle`";
    joblib_load: call("joblib", "load") => "`joblib.load`";
    mlflow_entry_point:
        call("mlflow.projects.backend.local", "_run_entry_point") => "_run_entry_point`";
    pip_main: call("pip", "main") => "`pip.main`";
    ensurepip_bootstrap: call("ensurepip", "bootstrap") => "`ensurepip.bootstrap`";
    webbrowser_open: call("webbrowser", "open") => "`webbrowser.open`";
    socket_connection: call("socket", "create_connection") => "`socket.create_connection`";
    urllib_download: call("urllib.request", "urlretrieve") => "`urllib.request.urlretrieve`";
    requests_get: call("requests", "get") => "`requests.get`";
    smtp_server: call("smtplib", "SMTP") => "`smtplib.SMTP`";
    shutil_rmtree: call("shutil", "rmtree") => "`shutil.rmtree`";
    path_write: call("pathlib", "Path.write_text") => "`pathlib.Path.write_text`";
    profile_run: call("cProfile", "run") => "`cProfile.run`";
    timeit_timeit: call("timeit", "timeit") => "`timeit.timeit`";
    doctest_debug: call("doctest", "debug_script") => "`doctest.debug_script`";
    logging_listen: call("logging.config", "listen") => "`logging.config.listen`";
    functools_partial: call("functools", "partial") => "`functools.partial`";
    operator_attrgetter: call("operator", "attrgetter") => "`operator.attrgetter`";
    operator_methodcaller: call("operator", "methodcaller") => "`operator.methodcaller`";
    itertools_starmap: call("itertools", "starmap") => "`itertools.starmap`";
    copyreg_reconstructor: call("copyreg", "_reconstructor") => "`copyreg._reconstructor`";
    copyreg_extension: call("copyreg", "add_extension") => "`copyreg.add_extension`";
    collections_default:
        call("collections", "defaultdict") => "`collections.defaultdict`";
    namedtuple_code: call("collections", "namedtuple") => "`collections.namedtuple`";
    attribute_of_a_known_class:
        stack_call("collections", "OrderedDict.__init__.__globals__")
        => "`collections.OrderedDict.__init__.__globals__`";
    method_of_a_known_class:
        stack_call("collections", "OrderedDict.fromkeys") => "`collections.OrderedDict.fromkeys`";
    module_in_another_case: stack_call("Collections", "OrderedDict") => "`Collections.OrderedDict`";
    name_with_a_line_break: stack_call("os\nsystem", "x") => r"needs `os\nsystem.x`";
    name_with_terminal_codes: stack_call("\u{1b}[2J", "x") => r"needs `\u{1b}[2J.x`";
    name_of_other_letters: stack_call("оs", "system") => "`оs.system`";
    name_without_module: stack_call("", "eval") => "needs `.eval`";
    names_through_the_memo:
        proto4().text("os").raw(b"\x940").text("system").raw(b"\x940h\x00h\x01\x93)R").stop()
        => "needs `os.system`";
    names_of_python_2:
        Asm::default().raw(b"U\x02osU\x06system\x93)R").stop() => "needs `os.system`";
    global_that_is_thrown_away: dict_of(|asm| asm.global("os", "system").raw(b"0N"))
        => "needs `os.system`";
    global_in_the_memo_only:
        proto2().global("os", "system").raw(b"q\x000}").stop() => "needs `os.system`";
    global_before_a_broken_end: proto2().global("os", "system").raw(b")R\xff").0 => "`os.system`";
    known_class_by_obj:
        proto2().raw(b"(").global("collections", "OrderedDict").raw(b"o").stop()
        => "creates an object of a class (OBJ";
    known_class_by_newobj: created(b")\x81") => "creates an object of a class (NEWOBJ at";
    known_class_by_newobj_ex: created(b")}\x92") => "creates an object of a class (NEWOBJ_EX at";
    known_class_by_inst:
        proto2().raw(b"(icollections\nOrderedDict\n").stop() => "`collections.OrderedDict` (INST";
    extension_of_one_byte: proto2().raw(b"\x82\x07)R").stop() => "under the number 7 (EXT1";
    extension_of_two_bytes: proto2().raw(b"\x83\x01\x01)R").stop() => "the number 257 (EXT2";
    extension_of_four_bytes:
        proto2().raw(b"\x84\x01\x00\x01\x00)R").stop() => "the number 65537 (EXT4";
    persistent_text: Asm::default().raw(b"Pos.system\n").stop() => "outside of it (PERSID";
    buffer_outside: proto2().raw(b"\x97").stop() => "a buffer outside of it (NEXT_BUFFER";
    buffer_read_only: proto2().raw(b"\x98").stop() => "a buffer outside of it (READONLY_BUFFER";
    call_of_a_text: proto2().text("os.system").text("id").raw(b"\x85R").stop()
        => "calls what is no known global (REDUCE";
    call_of_a_dictionary: proto2().raw(b"})R").stop() => "calls what is no known global";
    call_with_a_list: proto2().global("collections", "OrderedDict").raw(b"]R").stop()
        => "arguments that are no tuple";
    call_with_a_text_for_pairs:
        proto2().global("collections", "OrderedDict").text("ab").raw(b"\x85R").stop()
        => "an `OrderedDict` of what is no list";
    call_with_many_arguments:
        proto2().global("collections", "OrderedDict").ints(&[0; 9]).raw(b"R").stop()
        => "too many arguments";
    codec_that_runs:
        proto2().global("_codecs", "encode").text("x").text("zlib").raw(b"\x86R").stop()
        => "other than as `latin1`";
    codec_lookup: call("_codecs", "lookup") => "`_codecs.lookup`";
    build_with_setstate: built(|asm| asm.raw(b"}").text("__setstate__").text("x").raw(b"s"))
        => "the attribute `__setstate__` of an `OrderedDict` (BUILD";
    build_with_reduce: built(|asm| asm.raw(b"}").text("__reduce__").raw(b"Ns"))
        => "the attribute `__reduce__`";
    build_with_class: built(|asm| asm.raw(b"}").text("__class__").raw(b"Ns"))
        => "the attribute `__class__`";
    build_with_slots: built(|asm| asm.raw(b"N}").text("__class__").raw(b"Ns\x86"))
        => "attributes that are no dictionary";
    build_with_two_attributes:
        built(|asm| asm.raw(b"}(").text("_metadata").raw(b"}").text("x").raw(b"Nu"))
        => "several attributes";
    build_metadata_that_is_none: built(|asm| asm.raw(b"}").text("_metadata").raw(b"Ns"))
        => "the attribute `_metadata`";
    build_of_a_dictionary: proto2().raw(b"}}b").stop() => "attributes of what has none";
    build_of_a_class: proto2().global("collections", "OrderedDict").raw(b"}b").stop()
        => "attributes of what has none";
    numpy_object: proto2().global("numpy", "dtype").text("O8").raw(b"\x89\x88\x87R").stop()
        => "the type `O8` of numpy";
    numpy_record:
        proto2().global("numpy", "dtype").text("f8").raw(b"\x89\x88\x87R")
            .raw(b"(K\x03").text("<").raw(b"N}}J\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb").stop()
        => "fields or metadata";
    numpy_big_endian:
        proto2().global("numpy", "dtype").text("f8").raw(b"\x89\x88\x87R")
            .raw(b"(K\x03").text(">").raw(b"NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb").stop()
        => "not little-endian";
    numpy_array: call("numpy.core.multiarray", "_reconstruct") => "multiarray._reconstruct`";
}

#[test]
fn a_long_name_is_cut() {
    let error = tenon_models::checkpoint::read_plain(&call(&"x".repeat(5000), "y")).unwrap_err();
    assert!(error.message().len() < 300, "{error}");
}
