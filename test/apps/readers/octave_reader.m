% Lists what Octave reads of a file: the arrays, as a structure. Octave reads no attributes of foreign files. Each item
% of the root is loaded by itself, since Octave gives up at the first one that it cannot read.
1;

function walk(value, path)
  if isstruct(value)
    names = fieldnames(value);
    for i = 1:numel(names)
      walk(value.(names{i}), [path '/' names{i}]);
    end
  elseif ischar(value)
    printf("text\t%s\t\t%d\t%s\n", path, numel(value), sprintf("%02x", uint8(value(value != 0))));
  elseif isnumeric(value) || islogical(value)
    numbers = double(value(:));
    printf("number\t%s\t\t%d\t%.17g\n", path, numel(numbers), sum(numbers(isfinite(numbers))));
  elseif iscellstr(value)
    printf("text\t%s\t\t%d\t%s\n", path, numel(value), sprintf("%02x", uint8([value{:}])));
  else
    printf("error\t%s\t\t\tgives %s\n", path, class(value));
  end
end

names = strsplit(getenv("READ_NAMES"), ";");
for i = 1:numel(names)
  try
    content = load("-hdf5", getenv("READ_FILE"), names{i});
    walk(content, "");
  catch failure
    printf("error\t/%s\t\t\t%s\n", names{i}, strrep(failure.message, "\n", " "));
  end
end
